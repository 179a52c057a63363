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
    """The decision that came with it, what the question it answered was like and needed, and until when it holds."""

    decision: Decision
    like: tuple[object, ...]
    needs: tuple[int, ...]
    until: float


class Leases:
    """The leases in force; times are seconds of any one clock."""

    def __init__(self, most: int = MOST) -> None:
        """`most`: conversations with leases."""
        self._most = most
        # By conversation, and there by profile and purpose; the latest last.
        self._leases: OrderedDict[str, dict[tuple[str, str], _Lease]] = OrderedDict()

    def __len__(self) -> int:
        """Conversations of which something is kept."""
        return len(self._leases)

    def keep(self, question: Question, decision: Decision, now: float) -> None:
        """Take note of a decision of the router's, with its lease or without one."""
        conversation = question.conversation_id
        leases = self._leases.pop(conversation, {})
        leases.pop(_kind(question), None)
        if decision.lease_seconds > 0 and conversation:
            until = now + decision.lease_seconds
            leases[_kind(question)] = _Lease(decision, _like(question), _needs(question), until)
        if leases:
            self._leases[conversation] = leases
        self._drop(now)

    def decide(self, question: Question, offer: Offer, now: float) -> Decision | None:
        """The decision that a lease allows for this question, with an id of its own; None where the router has to be asked."""
        if question.previous.outcome in FAILURES or question.previous.failures:
            # What fails may be told by a question of another purpose, and is an end to them all.
            self._leases.pop(question.conversation_id, None)
            return None
        lease = self._leases.get(question.conversation_id, {}).get(_kind(question))
        if lease is None or now >= lease.until or question.continuation or question.resent:
            return None
        if _like(question) != lease.like or any(
            need > had for need, had in zip(_needs(question), lease.needs, strict=True)
        ):
            return None
        # The conversation has grown: the model has to take it still, and so have those that stand in for it.
        ranking = tuple(name for name in lease.decision.ranking if _takes(name, question, offer))
        model = lease.decision.ranking[0]
        if model not in offer.models or ranking[:1] != (model,):
            return None
        return replace(
            lease.decision,
            id=f"lease_{secrets.token_hex(16)}",
            ranking=ranking,
            source="pinned",
            reason=f"{model}: the conversation stays on its model while the prompt cache is warm, as leased",
            lease=lease.decision.id,
            lease_seconds=0.0,
        )

    def _drop(self, now: float) -> None:
        """Forget the oldest that are over, and of too many the oldest."""
        while self._leases:
            oldest = next(iter(self._leases.values()))
            if len(self._leases) <= self._most and any(lease.until > now for lease in oldest.values()):
                return
            self._leases.popitem(last=False)


def _kind(question: Question) -> tuple[str, str]:
    return question.profile, question.purpose


def _like(question: Question) -> tuple[object, ...]:
    """What has to be as it was."""
    return question.tenant, question.caller, question.edit_format, question.available_providers


def _needs(question: Question) -> tuple[int, ...]:
    """What may not be more than it was; of its length the model's own limit says how much it may be."""
    return question.vision, question.tools, question.json, question.output_tokens


def _takes(name: str, question: Question, offer: Offer) -> bool:
    known = offer.models.get(name)
    return known is None or question.input_tokens <= known.context_tokens
