"""What follows when a reply has failed: the rule by itself, and through the front door with what a conversation remembers."""

import json
import uuid
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protos.router.v1 import router_pb2 as pb
from router_service.catalog import Escalation
from router_service.domain import FAILURES, Outcome, Ranked
from router_service.escalation import Facts, Failed, Move, respond
from tests.fakes import not_diamond as fake
from tests.processes import free_port, start_router
from tests.redis_server import RedisServer
from tests.router_service.calls import call, select

# Quality, well-formed edits and retry success in per cent; dollars per million input tokens.
MODELS = {
    "weak": (40, 80, 20, 0.1),
    "like": (40, 80, 20, 0.2),
    "alike": (40, 80, 20, 0.3),
    "fair": (60, 97, 51, 0.5),
    "neat": (57, 99.5, 30, 1),
    "twin": (83, 90, 10, 2),
    "strong": (85, 90, 70, 3),
}
FAILED = [outcome.upper() for outcome in sorted(FAILURES)]
PROFILES = """
[profiles.p]
candidates = ["test/weak", "test/fair", "test/neat", "test/strong"]
cost_quality_tradeoff = 10
not_diamond = false

[profiles.both]
candidates = ["test/weak", "test/twin", "test/strong"]
cost_quality_tradeoff = 10
not_diamond = false

[profiles.pair]
candidates = ["test/fair", "test/strong"]
cost_quality_tradeoff = 10
not_diamond = false

[profiles.mixed]
candidates = ["test/weak", "openai/gpt-4o"]
cost_quality_tradeoff = 10
not_diamond = false

[profiles.steep]
candidates = ["test/weak", "test/fair", "test/neat", "test/strong"]
cost_quality_tradeoff = 10
not_diamond = false
escalation = { strongest_after = 2, second_try = 0.1, slack = 0 }

[profiles.equals]
candidates = ["test/weak", "test/like", "test/alike"]
cost_quality_tradeoff = 10
not_diamond = false
escalation = { strongest_after = 8 }

[profiles.cold]
candidates = ["test/weak", "test/fair", "test/neat", "test/strong"]
cost_quality_tradeoff = 10
not_diamond = false
# A prompt cache that is cold at once.
pin_idle_seconds = 0

[profiles.forgets]
candidates = ["test/weak", "test/fair", "test/neat", "test/strong"]
cost_quality_tradeoff = 10
not_diamond = false
pin_idle_seconds = 0
memory_seconds = 0

[profiles.floored]
candidates = ["test/weak", "test/fair", "test/neat", "test/strong"]
cost_quality_tradeoff = 10
not_diamond = false
floors = { code = 0.7 }

[profiles.asks-cold]
candidates = ["openai/gpt-6.1-sol", "xai/grok-4.7"]
cost_quality_tradeoff = 0
pin_idle_seconds = 0

[profiles.asks]
candidates = ["openai/gpt-6.1-sol", "xai/grok-4.7", "google/gemini-3.8-flash"]
cost_quality_tradeoff = 0
floors = { architect = 0.9 }
"""


def configuration() -> str:
    """A catalogue of five models whose facts are known here."""
    text = PROFILES
    for name, (quality, well_formed, retry_success, price) in MODELS.items():
        text += f"""
[[priors]]
name = "test {name}"
date = "2026-11-01"
edit_format = "diff"
pass_rate_1 = 10
pass_rate_2 = {quality}
well_formed = {well_formed}
retry_success = {retry_success}

[[models]]
id = "test/{name}"
context_tokens = 200000
max_output_tokens = 16000
input_usd_per_mtok = {price}
output_usd_per_mtok = {4 * price}
prior = "test {name}"
prior_kind = "measured"
source = "made up for a test"
checked = "2026-11-01"
"""
    return text


@pytest.fixture(scope="module")
def hosted() -> Iterator[fake.FakeNotDiamond]:
    server = fake.FakeNotDiamond()
    yield server
    server.close()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("escalation") / "router.toml"
    path.write_text(configuration())
    return path


@pytest.fixture(scope="module")
def port(config: Path, hosted: fake.FakeNotDiamond) -> Iterator[int]:
    number = free_port()
    process = start_router(
        number,
        ROUTER_CONFIG=str(config),
        NOT_DIAMOND_API_KEY="key",
        NOTDIAMOND_BASE_URL=hosted.url,
    )
    yield number
    process.stop()


class Conversation:
    """Asks turn after turn in one conversation, each with a text of its own."""

    def __init__(self, port: int, name: str, profile: str = "p", **fields: object) -> None:
        self._port = port
        self._fields = {"profile": profile, "purpose": "PURPOSE_CODE", "conversationId": name, **fields}
        self._turns = 0
        self.turn: dict[str, object] = {}

    def ask(self, outcome: str = "", **more: object) -> pb.SelectModelResponse:
        """The next turn, after a previous reply of this outcome; `more` overrides fields."""
        self._turns += 1
        previous: Mapping[str, object] = {"outcome": f"OUTCOME_{outcome}"} if outcome else {}
        text = [{"role": "user", "text": f"turn {self._turns}"}]
        self.turn = {"messages": text, "previousReply": previous, **self._fields, **more}
        return select(self._port, **self.turn)

    def again(self) -> pb.SelectModelResponse:
        """The same request once more."""
        return select(self._port, **self.turn)

    def explain(self, decision: pb.SelectModelResponse) -> pb.ExplainDecisionResponse:
        return call(self._port, "ExplainDecision", pb.ExplainDecisionRequest(decision_id=decision.decision_id))


def said(decision: pb.SelectModelResponse) -> tuple[str, str]:
    """The model's short name, and who decided."""
    return decision.model.removeprefix("test/"), pb.DecisionSource.Name(decision.source)[len("DECISION_SOURCE_") :]


# The first failure.


@pytest.mark.parametrize("outcome", ["LINT_FAILED", "COMMAND_FAILED"])
def test_a_model_that_mends_little_is_left_at_its_first_failure_for_the_best_ranked_stronger_one(port, outcome):
    conversation = Conversation(port, f"first-{outcome}")
    assert said(conversation.ask()) == ("weak", "LOCAL")
    decision = conversation.ask(outcome)
    assert said(decision) == ("fair", "ESCALATED")
    expected = f"test/weak did not manage ({outcome.lower()}); test/fair is stronger (quality 0.60 against 0.40)"
    assert decision.reason.startswith(expected)
    trace = conversation.explain(decision)
    assert (trace.pin.model, trace.pin.kept) == ("test/weak", False)
    assert "fared badly" in trace.pin.reason
    assert trace.previous_reply.outcome == pb.Outcome.Value(f"OUTCOME_{outcome}")


@pytest.mark.parametrize("outcome", ["LINT_FAILED", "COMMAND_FAILED"])
def test_a_model_that_mends_much_gets_one_more_try_and_no_second(port, outcome):
    conversation = Conversation(port, f"second-{outcome}", "pair")
    assert said(conversation.ask()) == ("fair", "LOCAL")
    retry = conversation.ask(outcome)
    assert said(retry) == ("fair", "PINNED")
    assert retry.reason == f"test/fair did not manage ({outcome.lower()}); one more try: it mends 51% of such failures"
    trace = conversation.explain(retry).pin
    assert (trace.model, trace.kept) == ("test/fair", True)
    assert "one more try" in trace.reason
    assert said(conversation.ask(outcome)) == ("strong", "ESCALATED")


def test_edits_that_do_not_match_go_to_a_model_of_better_formed_edits_though_it_is_a_little_weaker(port):
    conversation = Conversation(port, "edits")
    conversation.ask()
    assert said(conversation.ask("COMMAND_FAILED")) == ("fair", "ESCALATED")
    conversation.ask("APPLIED")
    decision = conversation.ask("EDIT_FAILED")
    assert said(decision) == ("neat", "ESCALATED")
    assert "test/neat's edits are better formed (99.5% of tasks against 97.0%)" in decision.reason
    conversation.ask("APPLIED")
    decision = conversation.ask("EDIT_FAILED")
    assert said(decision) == ("fair", "ESCALATED")
    assert "test/fair is stronger" in decision.reason


def test_an_undone_reply_leaves_its_model_even_when_nobody_is_stronger(port):
    conversation = Conversation(port, "undone", "both")
    conversation.ask()
    assert said(conversation.ask("UNDONE")) == ("twin", "ESCALATED")
    assert said(conversation.ask("UNDONE")) == ("strong", "ESCALATED")
    conversation.ask("APPLIED")
    decision = conversation.ask("UNDONE")
    assert said(decision) == ("twin", "ESCALATED")
    assert "no candidate is stronger, and test/twin is the best of the others" in decision.reason
    far = Conversation(port, "undone-far", costQualityTradeoff=0)
    far.ask()
    assert said(far.ask("UNDONE")) == ("fair", "ESCALATED")
    alone = Conversation(port, "undone-alone", "mixed")
    alone.ask(availableProviders=["test"])
    decision = alone.ask("UNDONE", availableProviders=["test"])
    assert said(decision) == ("weak", "PINNED")
    assert "no other candidate is left" in decision.reason


def test_the_third_undo_in_a_row_leaves_its_model_too(port):
    conversation = Conversation(port, "undone-thrice")
    path = [conversation.ask().model, *(conversation.ask("UNDONE").model for _ in range(3))]
    assert all(earlier != later for earlier, later in pairwise(path)), path
    assert len(set(path)) == len(path)


def test_the_strongest_model_stays_after_edits_that_did_not_match_when_nobody_forms_them_better(port):
    conversation = Conversation(port, "strongest", "both", costQualityTradeoff=0)
    assert said(conversation.ask()) == ("strong", "LOCAL")
    decision = conversation.ask("EDIT_FAILED")
    assert said(decision) == ("strong", "PINNED")
    assert "no candidate is stronger or has better formed edits" in decision.reason


def test_tests_that_fail_twice_at_the_strongest_model_go_to_one_that_is_about_as_good_and_never_back(port):
    conversation = Conversation(port, "twice", "both", costQualityTradeoff=0)
    assert said(conversation.ask()) == ("strong", "LOCAL")
    path = [said(conversation.ask("COMMAND_FAILED")) for _ in range(2)]
    assert path == [("strong", "PINNED"), ("twin", "ESCALATED")]


def test_a_row_of_equal_models_goes_round_once_and_not_in_a_circle(port):
    conversation = Conversation(port, "equals", "equals")
    path = [conversation.ask().model, *(conversation.ask("COMMAND_FAILED").model for _ in range(5))]
    left = [earlier for earlier, later in pairwise(path) if earlier != later]
    assert len(left) == len(set(left)) == 2, path


def test_what_a_question_tells_of_a_code_reply_is_answered_by_the_next_code_turn(port):
    conversation = Conversation(port, "aside")
    assert said(conversation.ask()) == ("weak", "LOCAL")
    failed = {"outcome": "OUTCOME_UNDONE", "model": "test/weak", "consecutiveFailures": 1}
    question = conversation.ask(previousReply=failed, purpose="PURPOSE_ASK")
    assert question.source != pb.DECISION_SOURCE_ESCALATED
    conversation.ask("NONE", purpose="PURPOSE_ASK")
    code = conversation.ask("NONE")
    assert said(code) == ("fair", "ESCALATED")
    assert "test/weak did not manage (undone)" in code.reason
    assert said(conversation.ask("NONE")) == ("fair", "PINNED")


def test_a_turn_of_which_nothing_is_told_ends_the_row(port):
    conversation = Conversation(port, "quiet")
    conversation.ask()
    assert said(conversation.ask("COMMAND_FAILED")) == ("fair", "ESCALATED")
    conversation.ask("NONE")
    assert said(conversation.ask("LINT_FAILED")) == ("fair", "PINNED")
    conversation.ask("NONE")
    decision = conversation.ask("LINT_FAILED")
    assert said(decision) == ("fair", "PINNED")
    assert "one more try" in decision.reason


def test_a_continuation_goes_to_whom_stepped_in_and_began_the_reply(port):
    conversation = Conversation(port, "began")
    conversation.ask()
    decision = conversation.ask(previousReply={"model": "test/strong"}, continuation=True)
    assert said(decision) == ("strong", "LOCAL")
    assert "goes on with the reply it began" in decision.reason


# The row.


def test_a_row_of_failures_ends_at_the_strongest_candidate_and_stays_there(port):
    conversation = Conversation(port, "row")
    conversation.ask()
    path = [said(conversation.ask("COMMAND_FAILED")) for _ in range(2)]
    assert path == [("fair", "ESCALATED"), ("fair", "PINNED")]
    third = conversation.ask("COMMAND_FAILED")
    assert said(third) == ("strong", "ESCALATED")
    assert "the failure number 3 in a row; test/strong is the strongest candidate" in third.reason
    later = conversation.ask("EDIT_FAILED")
    assert said(later) == ("strong", "PINNED")
    assert "the failure number 4 in a row, but it is the strongest: no candidate is stronger" in later.reason


def test_a_success_ends_the_row(port):
    conversation = Conversation(port, "success")
    conversation.ask()
    conversation.ask("COMMAND_FAILED")
    conversation.ask("COMMAND_FAILED")
    assert said(conversation.ask("APPLIED")) == ("fair", "PINNED")
    decision = conversation.ask("COMMAND_FAILED")
    assert said(decision) == ("fair", "PINNED")
    assert "one more try" in decision.reason


def test_the_profiles_own_thresholds_hold(port):
    conversation = Conversation(port, "steep", "steep")
    conversation.ask()
    decision = conversation.ask("LINT_FAILED")
    assert said(decision) == ("weak", "PINNED")
    assert "it mends 20% of such failures" in decision.reason
    assert said(conversation.ask("LINT_FAILED")) == ("strong", "ESCALATED")


def test_no_number_of_turns_and_nothing_but_a_failure_moves_a_conversation(port):
    conversation = Conversation(port, "turns")
    first = conversation.ask()
    for outcome in ("APPLIED", "NO_EDITS", "INTERRUPTED", "NONE", "COMPLETED", "") * 5:
        assert said(conversation.ask(outcome)) == (said(first)[0], "PINNED")


def test_a_request_that_is_repeated_gets_the_same_answer_and_is_counted_once(port):
    conversation = Conversation(port, "repeated")
    conversation.ask()
    answers = {conversation.ask("COMMAND_FAILED").model, *(conversation.again().model for _ in range(3))}
    assert answers == {"test/fair"}
    retry = conversation.ask("COMMAND_FAILED")
    assert "one more try" in retry.reason
    assert {conversation.again().model for _ in range(3)} == {"test/fair"}
    assert "decided before" in conversation.again().reason
    assert "the failure number 3 in a row" in conversation.ask("COMMAND_FAILED").reason


def test_a_request_without_text_is_known_again_by_the_reply_it_speaks_of(port):
    conversation = Conversation(port, "textless", messages=[])
    first = conversation.ask()
    failed = {"outcome": "OUTCOME_COMMAND_FAILED", "model": first.model, "decisionId": first.decision_id}
    second = conversation.ask(previousReply=failed)
    assert said(second) == ("fair", "ESCALATED")
    assert {conversation.again().model for _ in range(3)} == {"test/fair"}
    failed = {"outcome": "OUTCOME_COMMAND_FAILED", "model": second.model, "decisionId": second.decision_id}
    assert "one more try" in conversation.ask(previousReply=failed).reason


def test_the_same_words_in_a_conversation_that_has_grown_are_another_failure(port):
    conversation = Conversation(port, "grown", messages=[{"role": "user", "text": "1 test failed"}])
    conversation.ask()
    models = [conversation.ask("COMMAND_FAILED", requirements={"inputTokens": 100 * n}).model for n in range(1, 4)]
    assert models == ["test/fair", "test/fair", "test/strong"]


def test_a_failed_reply_of_a_model_that_stepped_in_keeps_the_pin(port):
    conversation = Conversation(port, "failover")
    conversation.ask()
    decision = conversation.ask(previousReply={"outcome": "OUTCOME_EDIT_FAILED", "model": "test/neat"})
    assert said(decision) == ("weak", "PINNED")
    assert "the reply that fared badly was test/neat's" in decision.reason


def test_the_callers_count_of_failures_is_believed_where_it_is_the_greater(port):
    conversation = Conversation(port, "counted")
    conversation.ask()
    failed = {"outcome": "OUTCOME_COMMAND_FAILED", "model": "test/weak", "consecutiveFailures": 3}
    assert said(conversation.ask(previousReply=failed)) == ("strong", "ESCALATED")


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.sampled_from(["APPLIED", "NO_EDITS", "INTERRUPTED", "NONE", *FAILED]), min_size=1, max_size=10))
def test_a_warm_conversation_moves_after_failures_alone_and_never_down(port, outcomes):
    quality = {f"test/{name}": figures[0] / 100 for name, figures in MODELS.items()}
    conversation = Conversation(port, f"any-{uuid.uuid4()}")
    model, row = conversation.ask().model, 0
    for outcome in outcomes:
        decision = conversation.ask(outcome)
        row = row + 1 if outcome in FAILED else 0 if outcome in ("APPLIED", "NONE") else row
        if outcome not in FAILED:
            assert decision.model == model
        assert outcome == "UNDONE" or quality[decision.model] >= quality[model] - 0.05
        assert (decision.source == pb.DECISION_SOURCE_ESCALATED) == (decision.model != model)
        if outcome in FAILED and row >= 3 and outcome != "UNDONE":
            assert decision.model == "test/strong"
        model = decision.model


# Without memory.


def test_a_caller_without_a_conversation_gets_the_same_rule_from_what_it_says(port):
    def after(model: str, outcome: str, row: int) -> tuple[str, str]:
        previous = {"outcome": f"OUTCOME_{outcome}", "model": f"test/{model}", "consecutiveFailures": row}
        return said(select(port, profile="p", purpose="PURPOSE_CODE", previousReply=previous))

    assert after("weak", "COMMAND_FAILED", 1) == ("fair", "ESCALATED")
    assert after("fair", "COMMAND_FAILED", 0) == ("fair", "LOCAL")
    assert after("fair", "COMMAND_FAILED", 1) == ("fair", "LOCAL")
    assert after("fair", "COMMAND_FAILED", 2) == ("strong", "ESCALATED")
    assert after("fair", "EDIT_FAILED", 1) == ("neat", "ESCALATED")
    assert after("weak", "LINT_FAILED", 3) == ("strong", "ESCALATED")
    assert after("fair", "APPLIED", 0) == ("weak", "LOCAL")


def test_a_failed_reply_of_no_candidate_is_decided_as_usual_and_says_so(port):
    for model, says in (
        ("openai/gpt-4o", "openai/gpt-4o, whose reply failed, is no candidate here; best of 4"),
        ("", "it is not known whose reply failed; best of 4"),
    ):
        decision = select(port, profile="p", previousReply={"outcome": "OUTCOME_UNDONE", "model": model})
        assert said(decision) == ("weak", "LOCAL")
        assert decision.reason.startswith(says)


def test_a_pinned_model_that_a_filter_removes_after_its_failure_leaves_a_fresh_choice_with_both_reasons(port):
    conversation = Conversation(port, "removed", "mixed")
    conversation.ask()
    decision = conversation.ask("EDIT_FAILED", unhealthyProviders=["test"])
    assert said(decision) == ("openai/gpt-4o", "ONLY_CANDIDATE")
    trace = conversation.explain(decision).pin
    assert (trace.model, trace.kept) == ("test/weak", False)
    assert decision.reason.startswith(
        "test/weak, whose reply failed, is no candidate here; no longer test/weak (filter 'unhealthy'"
    )


# The prompt cache goes cold, the memory stays.


def test_a_cold_conversation_is_decided_afresh_and_says_so(port):
    conversation = Conversation(port, "cold", "cold")
    conversation.ask(costQualityTradeoff=0)
    decision = conversation.ask("APPLIED")
    assert said(decision) == ("weak", "LOCAL")
    assert decision.reason.startswith(
        "no longer test/strong (the conversation has been idle, and its prompt cache is cold)"
    )
    same = conversation.ask("APPLIED")
    assert said(same) == ("weak", "LOCAL")
    assert same.reason.startswith("chosen afresh (the conversation has been idle")


def test_not_diamond_is_asked_about_a_cold_conversation_and_the_reason_says_why(port, hosted):
    hosted.answer = fake.recommend("xai", "grok-4.7")
    conversation = Conversation(port, "asks-cold", "asks-cold")
    assert conversation.ask().source == pb.DECISION_SOURCE_NOT_DIAMOND
    hosted.answer = fake.recommend("openai", "gpt-6.1-sol")
    decision = conversation.ask("APPLIED")
    assert (decision.model, decision.source) == ("openai/gpt-6.1-sol", pb.DECISION_SOURCE_NOT_DIAMOND)
    expected = "no longer xai/grok-4.7 (the conversation has been idle, and its prompt cache is cold); Not Diamond"
    assert decision.reason.startswith(expected)
    asked = len(hosted.seen)
    assert conversation.ask("EDIT_FAILED").source == pb.DECISION_SOURCE_PINNED
    assert len(hosted.seen) == asked


def test_nothing_is_warm_in_a_cold_conversation(port):
    needs = {"inputTokens": 20_000, "prefixTokens": 10_000}
    for profile, warm in (("p", True), ("cold", False)):
        conversation = Conversation(port, f"switch-{profile}", profile, requirements=needs)
        conversation.ask()
        ranking = conversation.ask("UNDONE").ranking
        assert {entry.HasField("switch_cost_usd") for entry in ranking} == {warm}


def test_an_escalated_conversation_stays_while_cold_until_a_reply_is_applied_and_may_then_step_down(port):
    conversation = Conversation(port, "steps", "cold")
    conversation.ask()
    assert said(conversation.ask("COMMAND_FAILED")) == ("fair", "ESCALATED")
    for outcome in ("NO_EDITS", "NONE", "INTERRUPTED"):
        decision = conversation.ask(outcome)
        assert said(decision) == ("fair", "PINNED")
        assert "test/weak failed before it and nothing has been applied since" in decision.reason
    decision = conversation.ask("APPLIED")
    assert said(decision) == ("weak", "LOCAL")
    assert "no longer test/fair (what test/weak failed at is mended and the prompt cache is cold" in decision.reason


def test_a_mended_conversation_stays_on_the_stronger_model_while_it_is_warm(port):
    conversation = Conversation(port, "warm")
    conversation.ask()
    assert said(conversation.ask("COMMAND_FAILED")) == ("fair", "ESCALATED")
    assert said(conversation.ask("APPLIED")) == ("fair", "PINNED")
    assert said(conversation.ask("APPLIED")) == ("fair", "PINNED")


def test_a_failure_is_acted_on_though_the_conversation_is_cold(port):
    conversation = Conversation(port, "cold-failure", "cold")
    conversation.ask()
    assert said(conversation.ask("COMMAND_FAILED")) == ("fair", "ESCALATED")
    assert said(conversation.ask("COMMAND_FAILED")) == ("fair", "PINNED")
    assert "the failure number 3 in a row" in conversation.ask("COMMAND_FAILED").reason


def test_a_profile_without_memory_remembers_nothing(port):
    conversation = Conversation(port, "forgets", "forgets")
    conversation.ask()
    assert said(conversation.ask("COMMAND_FAILED", previousReply={"outcome": "OUTCOME_COMMAND_FAILED",
                                "model": "test/weak"})) == ("fair", "ESCALATED")  # fmt: skip
    assert said(conversation.ask("NONE")) == ("weak", "LOCAL")


def test_what_an_earlier_version_pinned_still_holds_and_what_nobody_can_read_does_not(config):
    redis, number = RedisServer(), free_port()
    process = start_router(number, ROUTER_CONFIG=str(config), ROUTER_REDIS_URL=redis.url)
    try:
        old = {"model": "test/neat", "input_tokens": 900, "request": ""}
        later = {**old, "of_tomorrow": 1}
        bad = [{**old, "failures": "many"}, {**old, "mended": 1}, {**old, "used": "now"}, {**old, "model": 7}, {}, []]
        for name, value, found in [
            ("old", old, True),
            ("later", later, True),
            *((f"b{n}", v, False) for n, v in enumerate(bad)),
        ]:
            key = "router:" + json.dumps(["pin", "", name, "code"])
            assert redis.command("SET", key, json.dumps(value)) == b"+OK\r\n"
            expected = ("neat", "PINNED") if found else ("weak", "LOCAL")
            assert said(Conversation(number, name).ask()) == expected, value
    finally:
        process.stop()
        redis.close()


# A reply that is continued.


def test_a_continuation_goes_on_with_the_model_that_began_the_reply(port, hosted):
    conversation = Conversation(port, "continues", "cold")
    conversation.ask(costQualityTradeoff=0)
    decision = conversation.ask("EDIT_FAILED", continuation=True)
    assert said(decision) == ("strong", "PINNED")
    assert decision.reason == "test/strong: goes on with the reply it began"
    began = {"model": "xai/grok-4.7"}
    asked = len(hosted.seen)
    text = [{"role": "user", "text": "go on"}]
    decision = select(port, profile="asks", messages=text, continuation=True, previousReply=began)
    assert (decision.model, decision.source) == ("xai/grok-4.7", pb.DECISION_SOURCE_LOCAL)
    assert decision.reason == "xai/grok-4.7: goes on with the reply it began"
    assert select(port, profile="asks", messages=text, continuation=True).source == pb.DECISION_SOURCE_LOCAL
    assert len(hosted.seen) == asked


def test_a_continuation_counts_no_failure(port):
    conversation = Conversation(port, "continues-row")
    conversation.ask()
    conversation.ask("COMMAND_FAILED")
    conversation.ask("COMMAND_FAILED", continuation=True)
    assert "one more try" in conversation.ask("COMMAND_FAILED").reason


# On the side: commit messages, summaries, pings.


@pytest.mark.parametrize("purpose", ["COMMIT", "SUMMARY", "CACHE_PING"])
@pytest.mark.parametrize("profile", ["auto", "auto-weak", "auto-editor", "auto-architect", ""])
def test_housekeeping_goes_to_the_cheapest_at_once_and_no_failure_makes_it_dearer(port, hosted, profile, purpose):
    asked = len(hosted.seen)
    choice = {"profile": profile} if profile else {"candidates": {"models": ["xai/grok-4.7", "openai/gpt-4o"]}}
    previous = {"outcome": "OUTCOME_COMMAND_FAILED", "model": "xai/grok-4.7", "consecutiveFailures": 3}
    decision = select(
        port, purpose=f"PURPOSE_{purpose}", messages=[{"role": "user", "text": "x"}], previousReply=previous, **choice
    )
    assert decision.source == pb.DECISION_SOURCE_LOCAL
    cheapest = min(entry.expected_cost_usd for entry in decision.ranking)
    assert decision.ranking[0].expected_cost_usd == cheapest
    assert len(hosted.seen) == asked


def test_a_ping_follows_the_code_turns_model_even_when_cold_and_a_failure_does_not_concern_it(port):
    conversation = Conversation(port, "ping", "cold")
    conversation.ask(costQualityTradeoff=0)
    ping = conversation.ask("COMMAND_FAILED", purpose="PURPOSE_CACHE_PING")
    assert said(ping) == ("strong", "PINNED")
    assert "a ping warms the prompt cache" in ping.reason


# Floors.


def test_a_model_below_the_floor_goes_to_the_end_says_so_and_is_not_chosen(port):
    decision = Conversation(port, "floor", "floored").ask()
    assert said(decision) == ("fair", "LOCAL")
    assert [entry.model for entry in decision.ranking] == ["test/fair", "test/strong", "test/weak", "test/neat"]
    for entry in decision.ranking[2:]:
        assert entry.reason.endswith("below the floor for code: 0.7 of the best candidate's quality 0.85")
    other = Conversation(port, "floor-ask", "floored", purpose="PURPOSE_ASK").ask()
    assert said(other) == ("weak", "LOCAL")


def test_no_escalation_goes_below_the_floor(port):
    conversation = Conversation(port, "floor-fails", "floored")
    conversation.ask()
    # Without the floor it would be neat: its edits are better formed.
    assert said(conversation.ask("EDIT_FAILED")) == ("strong", "ESCALATED")


def test_a_floor_counts_among_the_candidates_that_are_left(port):
    few = {"profile": "auto", "purpose": "PURPOSE_ARCHITECT", "availableProviders": ["minimax", "mistral"]}
    assert select(port, **few).model in {"minimax/MiniMax-M3", "mistral/mistral-large-4"}


def test_the_shipped_profiles_let_only_strong_models_plan(port):
    for profile in ("auto", "auto-architect"):
        decision = select(port, profile=profile, purpose="PURPOSE_ARCHITECT", costQualityTradeoff=10)
        best = max(entry.quality for entry in decision.ranking)
        assert decision.ranking[0].quality >= 0.9 * best
        assert "below the floor for architect" in decision.ranking[-1].reason


def test_a_model_below_the_floor_is_not_offered_to_not_diamond(port, hosted):
    hosted.answer = fake.recommend("google", "gemini-3.8-flash")
    asked = len(hosted.seen)
    decision = select(
        port, profile="asks", purpose="PURPOSE_ARCHITECT", messages=[{"role": "user", "text": "plan with a floor"}]
    )
    assert len(hosted.seen) == asked + 1
    offered = {f"{entry['provider']}/{entry['model']}" for entry in hosted.seen[-1][2]["llm_providers"]}
    assert offered == {"openai/gpt-6.1-sol", "xai/grok-4.7"}
    # It recommends what it was not offered.
    assert decision.model != "google/gemini-3.8-flash"
    assert decision.source == pb.DECISION_SOURCE_LOCAL


# The rule by itself.

NAMES = ["a/a", "b/b", "c/c", "d/d", "e/e"]
SHARES = st.integers(0, 20).map(lambda number: number / 20)
FACTS = st.builds(Facts, SHARES, SHARES, SHARES)
RULES = st.builds(
    Escalation, second_try=SHARES, strongest_after=st.integers(1, 6), slack=st.sampled_from([0, 0.05, 0.2])
)


@st.composite
def fields(draw: st.DrawFn) -> tuple[list[Ranked], dict[str, Facts]]:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    facts = {name: draw(FACTS) for name in names}
    return [Ranked(name, "", quality=facts[name].quality) for name in names], facts


FIELDS = fields()
OUTCOMES = st.sampled_from(sorted(FAILURES))


@given(FIELDS, RULES, st.sampled_from(NAMES), st.sampled_from(list(Outcome)), st.integers(1, 8), st.data())
def test_the_rule_stays_in_the_ranking_and_never_goes_to_a_weaker_model(field, rules, name, outcome, row, data):
    ranking, facts = field
    tries = data.draw(st.integers(1, row))
    move = respond(Failed(name, outcome, row, tries), ranking, facts, rules)
    if name not in facts:
        assert move is None
        return
    assert move is not None
    assert move.model in facts
    assert move.escalated == (move.model != name)
    assert move.reason
    if outcome is Outcome.UNDONE:
        assert move.escalated == (len(facts) > 1)
    elif outcome not in FAILURES:
        assert move.model == name
    else:
        assert facts[move.model].quality >= facts[name].quality - rules.slack - 1e-9
    if outcome in FAILURES - {Outcome.UNDONE} and row >= rules.strongest_after:
        assert facts[move.model].quality == max(entry.quality for entry in facts.values())


@given(FIELDS, RULES, st.lists(OUTCOMES.filter(lambda one: one != "undone"), min_size=6, max_size=12), st.data())
def test_a_chain_of_failures_never_loses_strength_and_ends_at_the_strongest(field, rules, outcomes, data):
    ranking, facts = field
    model = data.draw(st.sampled_from(sorted(facts)))
    tries, qualities = 0, [facts[model].quality]
    for row, outcome in enumerate(outcomes, start=1):
        tries += 1
        move = respond(Failed(model, outcome, row, tries), ranking, facts, rules)
        assert move is not None
        tries = 0 if move.escalated else tries
        model = move.model
        qualities.append(facts[model].quality)
    assert all(later >= earlier - rules.slack - 1e-9 for earlier, later in pairwise(qualities))
    assert qualities[-1] == max(entry.quality for entry in facts.values())


@given(FIELDS, RULES, OUTCOMES, st.data())
def test_a_row_never_goes_back_to_a_model_that_it_has_beaten_before_its_last_resort(field, rules, outcome, data):
    ranking, facts = field
    name, earlier = data.draw(st.permutations([*sorted(facts), "nobody/here"]))[:2]
    move = respond(Failed(name, outcome, 2, 1, (earlier,)), ranking, facts, rules)
    assert move is None or move.model != earlier or rules.strongest_after <= 2


@given(FIELDS, RULES, OUTCOMES, st.integers(1, 8), st.data())
def test_an_outcome_that_tells_nothing_is_quoted_and_not_acted_on_unless_the_user_undid_it(
    field, rules, outcome, row, data
):
    ranking, facts = field
    name = data.draw(st.sampled_from(sorted(facts)))
    failed = Failed(name, outcome, row, 1)
    move = respond(failed, ranking, facts, rules, "it has told nothing after 140 replies")
    if outcome is Outcome.UNDONE:
        assert move == respond(failed, ranking, facts, rules)
    else:
        reason = f"{name} did not manage ({outcome}), but that is not acted on: it has told nothing after 140 replies"
        assert move == Move(name, False, reason)
