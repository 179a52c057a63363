"""How replies become turns to train on, and the waiting for a training."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from router_service.domain import Decision, Message, Outcome, PreviousReply, Purpose, Request, Source, Verdict
from router_service.training import Dataset, Submission, Turn
from router_service.training.turns import put_together
from tests.fakes.not_diamond import FakeNotDiamond, recommend, reply


def answered(
    name: str, model: str, outcome: Outcome, text: str = "Add a test.", mends: str | None = None, talk: str = ""
) -> tuple[Decision, Verdict]:
    """A decision and how its reply fared; `mends` names the failed decision before it, which may not be known."""
    previous = PreviousReply() if mends is None else PreviousReply(Outcome.EDIT_FAILED, decision_id=mends)
    messages = (Message("user", "an example"), Message("assistant", "Ok."), Message("user", text))
    request = Request(messages, "auto", purpose=Purpose.CODE, conversation_id=talk, previous_reply=previous)
    decision = Decision(name, model, (), Source.LOCAL, "", request, 3)
    return decision, Verdict(name, 1.0, "", Purpose.CODE, "diff", model, outcome, mends is None)


def test_a_turn_whose_first_reply_failed_scores_both_models_under_the_users_words():
    replies = [
        answered("a", "x/weak", Outcome.EDIT_FAILED),
        answered("b", "x/strong", Outcome.APPLIED, "1 block failed", mends="a"),
    ]
    assert put_together(replies) == (Turn("Add a test.", {"x/weak": 0.0, "x/strong": 1.0}),)


def test_a_model_is_scored_by_its_first_reply():
    replies = [
        answered("a", "x/weak", Outcome.LINT_FAILED),
        answered("b", "x/weak", Outcome.APPLIED, "Fix any errors", mends="a"),
    ]
    assert put_together(replies) == (Turn("Add a test.", {"x/weak": 0.0}),)


def test_a_chain_goes_on_over_replies_that_name_each_other():
    replies = [
        answered("a", "x/weak", Outcome.EDIT_FAILED),
        answered("b", "x/middle", Outcome.COMMAND_FAILED, "failed", mends="a"),
        answered("c", "x/strong", Outcome.APPLIED, "failed again", mends="b"),
    ]
    (turn,) = put_together(replies)
    assert turn.scores == {"x/weak": 0.0, "x/middle": 0.0, "x/strong": 1.0}


def test_without_a_name_the_conversations_latest_turn_is_the_one_that_failed():
    replies = [
        answered("a", "x/weak", Outcome.EDIT_FAILED, talk="one"),
        answered("b", "x/weak", Outcome.APPLIED, "Something else", talk="two"),
        answered("c", "x/strong", Outcome.APPLIED, "failed", mends="", talk="one"),
    ]
    first, second = put_together(replies)
    assert first.scores == {"x/weak": 0.0, "x/strong": 1.0}
    assert second == Turn("Something else", {"x/weak": 1.0})


def test_a_reply_to_a_failure_that_is_not_known_is_left_out():
    assert put_together([answered("c", "x/strong", Outcome.APPLIED, "failed", mends="gone")]) == ()
    assert put_together([answered("c", "x/strong", Outcome.APPLIED, "failed", mends="")]) == ()


@pytest.mark.parametrize("outcome", [Outcome.NO_EDITS, Outcome.INTERRUPTED])
def test_what_says_nothing_of_the_model_gives_no_score(outcome):
    assert put_together([answered("a", "x/weak", outcome)]) == ()


def test_a_kept_hash_is_no_prompt():
    (turn,) = put_together([answered("a", "x/weak", Outcome.APPLIED, "sha256:" + "0" * 64)])
    assert turn.prompt == ""


def test_only_named_models_stay_and_turns_without_any_go():
    dataset = Dataset((Turn("a", {"x/weak": 0.0, "x/strong": 1.0}), Turn("b", {"x/weak": 1.0})), withheld=3)
    assert dataset.only({"x/strong"}) == replace(dataset, turns=(Turn("a", {"x/strong": 1.0}),))


@pytest.fixture
def not_diamond() -> Iterator[FakeNotDiamond]:
    fake = FakeNotDiamond()
    yield fake
    fake.close()


@pytest.fixture
def submission(not_diamond: FakeNotDiamond) -> Iterator[Submission]:
    opened = Submission("key", not_diamond.url)
    yield opened
    opened.close()


DATASET = Dataset((Turn("a", {"x/weak": 0.0, "x/strong": 1.0}),))


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.naps: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.time += seconds


def test_waiting_ends_when_the_preference_id_is_taken(not_diamond, submission):
    clock = Clock()
    not_diamond.answer = reply(404, b'{"detail":"Preference ID pref-1 not found"}')

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.naps) == 2:
            not_diamond.answer = recommend("x", "weak")

    assert submission.wait("pref-1", DATASET, 900.0, clock.now, sleep)
    assert len(not_diamond.seen) == 3


@pytest.mark.parametrize("answer", [reply(404, b"{}"), reply(200, b"<html>", "text/html"), reply(500, b"{}")])
def test_waiting_ends_when_its_time_is_over(not_diamond, submission, answer):
    clock = Clock()
    not_diamond.answer = answer
    assert not submission.wait("pref-1", DATASET, 50.0, clock.now, clock.sleep)
    assert clock.time == pytest.approx(50.0)


def test_the_models_it_knows_are_told_and_none_when_it_keeps_them_to_itself(not_diamond, submission):
    assert submission.known() is None
    not_diamond.models = ["openai/gpt-5", "x/weak"]
    assert submission.known() == {"openai/gpt-5", "x/weak"}
