"""A caller may keep a conversation on its model by itself for a while, and what it decides so is kept like any decision."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.json_format import ParseDict

from protos.router.v1 import router_pb2 as pb
from tests.processes import free_port, start_router, wait_until
from tests.router_service.calls import call, select

CONFIG = """
[profiles.short]
candidates = ["openai/*"]
cost_quality_tradeoff = 5
pin_idle_seconds = 5

[profiles.asking]
candidates = ["openai/*"]
cost_quality_tradeoff = 5
lease_seconds = 0
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path: Path = tmp_path_factory.mktemp("leases") / "router.toml"
    path.write_text(CONFIG)
    number = free_port()
    process = start_router(number, ROUTER_CONFIG=str(path))
    yield number
    process.stop()


def asked(conversation: str, **fields: object) -> dict[str, object]:
    needs = {"inputTokens": 20_000}
    return {
        "profile": "auto",
        "purpose": "PURPOSE_CODE",
        "conversationId": conversation,
        "requirements": needs,
    } | fields


def seconds(decision: pb.SelectModelResponse) -> float:
    return decision.lease.seconds + decision.lease.nanos / 1e9


def leased(lease: str, conversation: str, after: float = 1.0, port: int = 0, **fields: object) -> pb.LeasedDecision:
    """A decision of the caller's own, so many seconds after the one with the lease."""
    message = pb.LeasedDecision(
        decision_id=f"lease_{uuid.uuid4().hex}",
        lease=lease,
        request=ParseDict(asked(conversation, **fields), pb.SelectModelRequest()),
    )
    granted = call(port, "ExplainDecision", pb.ExplainDecisionRequest(decision_id=lease)).time
    message.time.FromNanoseconds(granted.ToNanoseconds() + int(after * 1e9))
    return message


def tell(port: int, *decisions: pb.LeasedDecision, reports: tuple = ()) -> list[pb.ReportOutcomesResult]:
    answer = call(port, "ReportOutcomes", pb.ReportOutcomesRequest(leased=decisions, reports=reports))
    return [*answer.leased, *answer.results]


def test_a_conversation_on_its_model_comes_with_a_lease_and_nothing_else_does(port):
    assert seconds(select(port, **asked("talk"))) == 30
    assert seconds(select(port, **asked("talk"))) == 30
    assert seconds(select(port, **asked("brief", profile="short"))) == 5
    for without in (
        asked("", conversationId=""),
        asked("talk", purpose="PURPOSE_COMMIT"),
        asked("talk", continuation=True),
        asked("asked", profile="asking"),
    ):
        assert seconds(select(port, **without)) == 0


def test_after_a_failed_reply_there_is_no_lease_until_one_is_applied(port):
    first = select(port, **asked("fails"))
    failed = {"outcome": "OUTCOME_EDIT_FAILED", "model": first.model, "decisionId": first.decision_id}
    assert seconds(select(port, **asked("fails", previousReply=failed))) == 0
    applied = {"outcome": "OUTCOME_APPLIED"}
    assert seconds(select(port, **asked("fails", previousReply=applied))) == 30


def test_a_leased_decision_is_kept_explained_and_reported_on_like_any_other(port):
    granted = select(port, **asked("kept", caller="me"))
    made = leased(granted.decision_id, "kept", port=port, caller="me")
    report = pb.ReportOutcomeRequest(
        decision_id=made.decision_id,
        served_model=granted.model,
        outcome=pb.OUTCOME_COMPLETED,
        input_tokens=20_000,
        output_tokens=100,
    )
    kept, told = tell(port, made, reports=(report,))
    assert kept.WhichOneof("result") == "kept"
    assert told.kept.cost_usd > 0
    found = call(port, "ExplainDecision", pb.ExplainDecisionRequest(decision_id=made.decision_id))
    assert (found.decision.model, found.decision.source) == (granted.model, pb.DECISION_SOURCE_PINNED)
    assert granted.decision_id in found.decision.reason
    assert found.decision.ranking[0].expected_cost_usd > 0
    assert (found.pin.model, found.pin.kept, found.caller) == (granted.model, True, "me")
    assert [outcome.outcome for outcome in found.outcomes] == [pb.OUTCOME_COMPLETED]
    assert found.time == made.time

    def listed() -> list[str]:
        page = call(port, "ListDecisions", pb.ListDecisionsRequest(conversation_id="kept"))
        return [entry.decision_id for entry in page.decisions]

    wait_until(lambda: made.decision_id in listed(), "the leased decision in the list")


def test_a_leased_decision_that_is_told_twice_is_one(port):
    made = leased(select(port, **asked("twice")).decision_id, "twice", port=port)
    assert [result.WhichOneof("result") for result in tell(port, made, made)] == ["kept", "kept"]
    assert tell(port, made)[0].WhichOneof("result") == "kept"

    def listed() -> list[str]:
        page = call(port, "ListDecisions", pb.ListDecisionsRequest(conversation_id="twice"))
        return [entry.decision_id for entry in page.decisions]

    wait_until(lambda: len(listed()) == 2, "both decisions in the list")


def test_what_was_leased_keeps_the_pin_warm(port):
    granted = select(port, **asked("warm", profile="short"))
    made = leased(granted.decision_id, "warm", after=4, port=port, profile="short")
    assert tell(port, made)[0].WhichOneof("result") == "kept"
    then = select(port, **asked("warm", profile="short"))
    assert (then.model, then.source) == (granted.model, pb.DECISION_SOURCE_PINNED)


def test_a_leased_decision_that_is_told_late_undoes_no_escalation(port):
    granted = select(port, **asked("late"))
    late = leased(granted.decision_id, "late", after=0.001, port=port)
    failed = {"outcome": "OUTCOME_EDIT_FAILED", "model": granted.model, "decisionId": granted.decision_id}
    escalated = select(port, **asked("late", previousReply=failed))
    assert (escalated.source, escalated.model != granted.model) == (pb.DECISION_SOURCE_ESCALATED, True)
    assert tell(port, late)[0].WhichOneof("result") == "kept"
    assert select(port, **asked("late")).model == escalated.model


def test_a_failure_that_a_question_tells_of_is_answered_though_a_leased_decision_comes_after_it(port):
    granted = select(port, **asked("owed"))
    late = leased(granted.decision_id, "owed", after=0.001, port=port)
    failed = {"outcome": "OUTCOME_EDIT_FAILED", "model": granted.model, "decisionId": granted.decision_id}
    select(port, **asked("owed", purpose="PURPOSE_ASK", previousReply=failed))
    assert tell(port, late)[0].WhichOneof("result") == "kept"
    then = select(port, **asked("owed", previousReply={"outcome": "OUTCOME_NONE"}))
    assert then.source == pb.DECISION_SOURCE_ESCALATED
    assert seconds(then) == 0


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"lease": "dec_nobodys"}, "dec_nobodys"),
        ({"decision_id": "mine"}, "32 hexadecimal digits"),
        ({"after": 3600.0}, "was not in force"),
        ({"after": -3600.0}, "was not in force"),
        ({"conversation": "another"}, "request.conversation_id"),
        ({"profile": "short"}, "request.profile"),
        ({"purpose": "PURPOSE_ASK"}, "request.purpose"),
        ({"tenant": "acme"}, "request.tenant"),
        ({"caller": "another"}, "request.caller"),
        ({"continuation": True}, "ask with SelectModel"),
        ({"previousReply": {"outcome": "OUTCOME_UNDONE"}}, "ask with SelectModel"),
        ({"lease": "d" * 300}, "at most 200 characters"),
        ({"editFormat": "x" * 100}, "edit_format"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_no_lease_allows_is_refused_and_named(port, wrong, names):
    fields = dict(wrong)
    granted = select(port, **asked("strict")).decision_id
    made = leased(
        granted, fields.pop("conversation", "strict"), fields.pop("after", 1.0), port,
        **{name: value for name, value in fields.items() if name not in ("lease", "decision_id")},
    )  # fmt: skip
    for name in ("lease", "decision_id"):
        if name in wrong:
            setattr(made, name, wrong[name])
    (result,) = tell(port, made)
    assert names in result.refusal.message


def test_a_decision_without_a_lease_allows_none(port):
    made = leased(select(port, **asked("asked", profile="asking")).decision_id, "asked", port=port, profile="asking")
    assert "was not in force" in tell(port, made)[0].refusal.message
