"""How first replies become turns to train on, and the waiting for a training."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from router_service.domain import Decision, Message, Outcome, PreviousReply, Purpose, Request, Source
from router_service.records import Verdict
from router_service.training import Dataset, Submission, Turn
from router_service.training.turns import first_replies
from tests.fakes.not_diamond import FakeNotDiamond, recommend, reply


def answered(
    name: str, model: str, outcome: Outcome, text: str = "Add a test.", mends: str | None = None
) -> tuple[Decision, Verdict]:
    """A decision and how its reply fared; `mends` names the failed decision before it, which may not be known."""
    previous = PreviousReply() if mends is None else PreviousReply(Outcome.EDIT_FAILED, decision_id=mends)
    messages = (Message("user", "an example"), Message("assistant", "Ok."), Message("user", text))
    request = Request(messages, "auto", purpose=Purpose.CODE, previous_reply=previous)
    decision = Decision(name, model, (), Source.LOCAL, "", request, 3)
    return decision, Verdict(name, 1.0, "", Purpose.CODE, "diff", model, outcome, mends is None)


def test_a_first_reply_is_a_turn_under_the_users_words_and_scores_the_model_that_gave_it():
    replies = [answered("a", "x/weak", Outcome.LINT_FAILED), answered("b", "x/strong", Outcome.APPLIED, "Rename it.")]
    assert first_replies(replies) == (Turn("Add a test.", "x/weak", 0.0), Turn("Rename it.", "x/strong", 1.0))


def test_a_model_that_is_asked_where_another_one_failed_is_not_scored_by_that():
    replies = [
        answered("a", "x/weak", Outcome.EDIT_FAILED),
        answered("b", "x/strong", Outcome.COMMAND_FAILED, "1 block failed", mends="a"),
        answered("c", "x/strong", Outcome.APPLIED, "the test failed", mends="b"),
        answered("d", "x/weak", Outcome.APPLIED),
    ]
    assert first_replies(replies) == (Turn("Add a test.", "x/weak", 0.0), Turn("Add a test.", "x/weak", 1.0))


@pytest.mark.parametrize("outcome", [Outcome.NO_EDITS, Outcome.INTERRUPTED])
def test_what_says_nothing_of_the_model_gives_no_score(outcome):
    assert first_replies([answered("a", "x/weak", outcome)]) == ()


def test_a_kept_hash_is_no_prompt():
    (turn,) = first_replies([answered("a", "x/weak", Outcome.APPLIED, "sha256:" + "0" * 64)])
    assert turn.prompt == ""


def test_only_named_models_stay_and_turns_without_any_go():
    dataset = Dataset((Turn("a", "x/strong", 1.0), Turn("b", "x/weak", 1.0)), withheld=3)
    assert dataset.only({"x/strong"}) == replace(dataset, turns=(Turn("a", "x/strong", 1.0),))


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


DATASET = Dataset((Turn("a", "x/weak", 0.0), Turn("b", "x/strong", 1.0)))


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
