"""Puts replies together to turns: a user's request, and which models' replies to it were applied; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from router_service.domain import FAILURES, Decision, Outcome, Verdict

APPLIED, FAILED = 1.0, 0.0
# What a ledger keeps instead of a text that it may only recognise.
HASHED = "sha256:"


@dataclass(frozen=True, slots=True)
class Turn:
    """A user's request and the score of each model that answered it, 1 applied and 0 failed.

    A model that answered more than once is scored by its first reply: that is what choosing it would have come to.
    """

    prompt: str
    scores: Mapping[str, float]


@dataclass(slots=True)
class _Open:
    prompt: str
    scores: dict[str, float] = field(default_factory=dict)


def put_together(replies: Iterable[tuple[Decision, Verdict]]) -> tuple[Turn, ...]:
    """The turns of these replies, which come in the order of their decisions.

    A reply to a failure belongs to the turn whose reply failed: the one that it names, else the conversation's latest. When
    there is none it is left out, for what it answers is Aider's message and no user's.
    """
    turns: list[_Open] = []
    by_decision: dict[str, _Open] = {}
    latest: dict[tuple[str, str], _Open] = {}
    for decision, verdict in replies:
        request = decision.request
        talk = (request.tenant, request.conversation_id)
        if verdict.first:
            turn = _Open(prompt_of(decision))
            turns.append(turn)
        else:
            found = by_decision.get(request.previous_reply.decision_id) or latest.get(talk)
            if found is None:
                continue
            turn = found
        by_decision[decision.id] = turn
        if request.conversation_id:
            latest[talk] = turn
        score = score_of(verdict.outcome)
        if score is not None:
            turn.scores.setdefault(verdict.model, score)
    return tuple(Turn(turn.prompt, turn.scores) for turn in turns if turn.scores)


def score_of(outcome: Outcome) -> float | None:
    """What an outcome says of the model; None when it says nothing."""
    if outcome is Outcome.APPLIED:
        return APPLIED
    return FAILED if outcome in FAILURES else None


def prompt_of(decision: Decision) -> str:
    """The last text of the user as far as the ledger kept it; empty when it kept none, or a hash."""
    texts = [turn.text for turn in decision.request.messages if turn.role == "user"]
    return "" if not texts or texts[-1].startswith(HASHED) else texts[-1].strip()
