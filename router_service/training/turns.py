"""Makes first replies the turns to train on: a user's request, who answered it, and whether that was applied; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from router_service.domain import FAILURES, Decision, Outcome
from router_service.records import Verdict

APPLIED, FAILED = 1.0, 0.0
# What a ledger keeps instead of a text that it may only recognise.
HASHED = "sha256:"


@dataclass(frozen=True, slots=True)
class Turn:
    """A user's request and the score of the model that answered it first, 1 applied and 0 failed."""

    prompt: str
    model: str
    score: float


def first_replies(replies: Iterable[tuple[Decision, Verdict]]) -> tuple[Turn, ...]:
    """The turns of these replies, one for each first reply, as learning counts them.

    A later reply's model was asked because another one had failed, so on harder requests than the others: its scores would
    make strong models look weak. What it answers is Aider's message besides, and no user's.
    """
    return tuple(
        Turn(prompt_of(decision), verdict.model, score)
        for decision, verdict in replies
        if verdict.first and (score := score_of(verdict.outcome)) is not None
    )


def score_of(outcome: Outcome) -> float | None:
    """What an outcome says of the model; None when it says nothing."""
    if outcome is Outcome.APPLIED:
        return APPLIED
    return FAILED if outcome in FAILURES else None


def prompt_of(decision: Decision) -> str:
    """The last text of the user as far as the ledger kept it; empty when it kept none, or a hash."""
    texts = [turn.text for turn in decision.request.messages if turn.role == "user"]
    return "" if not texts or texts[-1].startswith(HASHED) else texts[-1].strip()
