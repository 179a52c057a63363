"""Keeps conversations on their models while the router lets this edge do so by itself."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass

from msgspec.structs import replace

from edge_gateway.decisions import Decision, Offer, Question

# Outcomes of the previous reply after which the router is to decide.
FAILURES = frozenset({"edit_failed", "lint_failed", "command_failed", "undone"})
# Leases kept; the oldest goes first, and its conversation's next request asks the router.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Lease:
    """The decision that came with it, the question it answered, and until when it holds."""

    decision: Decision
    question: Question
    until: float


class Leases:
    """The leases in force; times are seconds of any one clock."""

    def __init__(self, most: int = MOST) -> None:
        """`most`: conversations with leases."""
        self._most = most
        # By conversation, and there by profile and purpose.
        self._leases: OrderedDict[str, dict[tuple[str, str], _Lease]] = OrderedDict()

    def keep(self, question: Question, decision: Decision, now: float) -> None:
        """Take note of a decision of the router's, with its lease or without one."""
        leases = self._leases.get(question.conversation_id, {})
        leases.pop(_kind(question), None)
        if decision.lease_seconds > 0 and question.conversation_id:
            # Of the texts nothing is needed any more.
            asked = replace(question, turns=(), metadata={})
            leases[_kind(question)] = _Lease(decision, asked, now + decision.lease_seconds)
            self._leases[question.conversation_id] = leases
            self._leases.move_to_end(question.conversation_id)
            if len(self._leases) > self._most:
                self._leases.popitem(last=False)

    def decide(self, question: Question, offer: Offer, now: float) -> Decision | None:
        """The decision that a lease allows for this question, with an id of its own; None where the router has to be asked."""
        if question.previous.outcome in FAILURES or question.previous.failures:
            # What fails may be told by a question of another purpose, and is an end to them all.
            self._leases.pop(question.conversation_id, None)
            return None
        lease = self._leases.get(question.conversation_id, {}).get(_kind(question))
        if lease is None or now >= lease.until:
            return None
        model = lease.decision.ranking[0]
        known = offer.models.get(model)
        if known is None or question.input_tokens > known.context_tokens or not _as_before(question, lease.question):
            return None
        reason = f"{model}: the conversation stays on its model while the prompt cache is warm, as leased"
        return replace(
            lease.decision,
            id=f"lease_{secrets.token_hex(16)}",
            source="pinned",
            reason=reason,
            lease=lease.decision.id,
            lease_seconds=0.0,
        )


def _as_before(question: Question, leased: Question) -> bool:
    """Whether a question is of the leased one's kind and needs nothing more."""
    same = ("tenant", "caller", "edit_format", "available_providers")
    needs = ("vision", "tools", "json", "output_tokens")
    return (
        not question.continuation
        and not question.resent
        and all(getattr(question, name) == getattr(leased, name) for name in same)
        and all(getattr(question, name) <= getattr(leased, name) for name in needs)
    )


def _kind(question: Question) -> tuple[str, str]:
    return question.profile, question.purpose
