"""While the router lets it, the edge keeps a conversation on its model by itself, and tells; for all else it asks."""

import pytest
from msgspec.structs import replace

from edge_gateway.decisions import Decision, ModelFacts, Offer, PreviousReply, Question
from edge_gateway.leases import Leases
from tests.edge_gateway.aider_process import AiderProcess, edit
from tests.processes import log_events, wait_until

OFFER = Offer({}, {"a/b": ModelFacts("a/b", 10_000, 1000, 1.0, 1.0)})
QUESTION = Question(
    "code", "diff", [("user", "text")], 1000, 0, False, False, False, ["a"], conversation_id="c", profile="auto",
    tenant="t", caller="me",
)  # fmt: skip
GRANTED = Decision("dec_1", True, ("a/b", "a/c"), "local", "it is best", lease_seconds=30.0)


@pytest.fixture
def leases() -> Leases:
    leases = Leases(most=3)
    leases.keep(QUESTION, GRANTED, now=100.0)
    return leases


def test_the_next_question_of_the_conversation_is_decided_with_an_id_of_its_own(leases):
    applied = replace(QUESTION, previous=PreviousReply("applied", "a/b", "dec_1"), input_tokens=9_000)
    one, other = (leases.decide(question, OFFER, 129.0) for question in (QUESTION, applied))
    assert {one.ranking, other.ranking} == {("a/b", "a/c")}
    assert (one.source, one.lease, one.lease_seconds) == ("pinned", "dec_1", 0.0)
    assert one.made_by_router
    assert len({one.id, other.id, "dec_1"}) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"conversation_id": "d"}, {"conversation_id": ""}, {"purpose": "ask"}, {"profile": "auto-weak"}, {"tenant": "u"},
        {"caller": "you"}, {"edit_format": "whole"}, {"available_providers": ["a", "z"]}, {"vision": True},
        {"tools": True}, {"json": True}, {"output_tokens": 10}, {"input_tokens": 10_001}, {"continuation": True},
        {"resent": True}, {"previous": PreviousReply("edit_failed")}, {"previous": PreviousReply("lint_failed")},
        {"previous": PreviousReply("command_failed")}, {"previous": PreviousReply("undone")},
        {"previous": PreviousReply("none", failures=1)},
    ],
    ids=str,
)  # fmt: skip
def test_a_question_of_another_kind_or_after_a_failure_is_the_routers(leases, other):
    assert leases.decide(replace(QUESTION, **other), OFFER, 101.0) is None


def test_a_lease_ends_with_its_time_with_a_failure_and_where_the_model_is_no_longer_offered(leases):
    assert leases.decide(QUESTION, Offer({}, {}), 101.0) is None
    assert leases.decide(QUESTION, OFFER, 130.0) is None
    leases.keep(QUESTION, GRANTED, now=100.0)
    leases.decide(replace(QUESTION, previous=PreviousReply("undone")), OFFER, 101.0)
    assert leases.decide(QUESTION, OFFER, 102.0) is None


def test_a_failure_that_a_question_of_another_purpose_tells_of_ends_all_leases_of_its_conversation(leases):
    leases.keep(replace(QUESTION, conversation_id="d"), GRANTED, now=100.0)
    told = replace(QUESTION, purpose="ask", previous=PreviousReply("lint_failed"))
    assert leases.decide(told, OFFER, 101.0) is None
    assert leases.decide(QUESTION, OFFER, 102.0) is None
    assert leases.decide(replace(QUESTION, conversation_id="d"), OFFER, 102.0)


def test_a_later_decision_without_a_lease_ends_it_and_the_oldest_goes_when_there_are_too_many(leases):
    for name in "defg":
        leases.keep(replace(QUESTION, conversation_id=name), GRANTED, now=100.0)
    held = [name for name in "cdefg" if leases.decide(replace(QUESTION, conversation_id=name), OFFER, 101.0)]
    assert held == ["e", "f", "g"]
    leases.keep(replace(QUESTION, conversation_id="g"), replace(GRANTED, lease_seconds=0.0), now=101.0)
    assert leases.decide(replace(QUESTION, conversation_id="g"), OFFER, 102.0) is None


def test_who_stands_in_for_the_leased_model_has_to_take_the_conversation_as_it_has_grown(leases):
    small = Offer({}, {**OFFER.models, "a/c": ModelFacts("a/c", 5_000, 1000, 1.0, 1.0)})
    grown = replace(QUESTION, input_tokens=5_001)
    assert leases.decide(QUESTION, small, 101.0).ranking == ("a/b", "a/c")
    assert leases.decide(grown, small, 101.0).ranking == ("a/b",)


def test_leases_that_are_over_are_not_kept(leases):
    leases.keep(replace(QUESTION, conversation_id="d"), GRANTED, now=129.0)
    assert len(leases) == 2
    leases.keep(replace(QUESTION, conversation_id="e"), replace(GRANTED, lease_seconds=0.0), now=130.0)
    assert len(leases) == 1


async def test_a_conversation_goes_on_without_the_router_until_a_reply_fails(http, system):
    aider = AiderProcess(http, system)
    first = await aider.ask("what is it?", "A function that adds.")
    second = await aider.ask("and why?", "Because.")
    assert second.headers["x-router-source"] == "pinned"
    assert second.headers["x-router-reason"].endswith("as leased")
    assert second.headers["x-served-model"] == first.headers["x-served-model"]

    def told() -> list[dict]:
        return [line for line in log_events(system.router, "decided") if line["decision_id"] == second.decision]

    wait_until(lambda: len(told()) == 1, "the leased decision in the router's log")
    explained = second.explained()
    assert first.decision in explained["decision"]["reason"]
    assert explained["previousReply"]["decisionId"] == first.decision
    assert await second.reported("completed")
    await aider.ask("change it", edit("nothing of the sort", "anything"))
    failing = "# 1 SEARCH/REPLACE block failed to match!\n\n## SearchReplaceNoExactMatch: no match in calc.py\n"
    after = await aider.ask(failing, "Once more.")
    assert after.outcome == "edit_failed"
    assert not after.headers["x-router-reason"].endswith("as leased")
