"""What many decisions add up to, by purpose and model; in memory here, and by the same rules in SQL in `reads`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from router_service.domain import FAILURES, Outcome, Purpose, Savings, Source, Summary

# What the user asks for; the others Aider asks for by itself.
TURNS = frozenset({Purpose.CODE, Purpose.ASK, Purpose.CONTEXT, Purpose.ARCHITECT, Purpose.EDITOR, Purpose.CHAT})
NUMBERS = tuple(field.name for field in fields(Savings) if field.name not in ("purpose", "model"))


def sum_up(summaries: Iterable[Summary]) -> tuple[Savings, ...]:
    """Sums for each purpose and model, the dearest first; a decision with nothing to compare with counts as it cost."""
    groups: dict[tuple[str, str], Savings] = {}
    for entry in summaries:
        key = (entry.purpose, entry.served_model or entry.model)
        alone = _alone(entry)
        groups[key] = _plus(groups[key], alone) if key in groups else alone
    return tuple(sorted(groups.values(), key=lambda sums: (-sums.cost_usd, str(sums.purpose), sums.model)))


def _alone(entry: Summary) -> Savings:
    """The sums of one decision."""
    applied = entry.outcome is Outcome.APPLIED
    mends = entry.previous_outcome in FAILURES
    turn = entry.purpose in TURNS and not mends
    return Savings(
        purpose=entry.purpose,
        model=entry.served_model or entry.model,
        decisions=1,
        reported=int(bool(entry.input_tokens or entry.output_tokens)),
        input_tokens=entry.input_tokens,
        output_tokens=entry.output_tokens,
        cost_usd=entry.cost_usd or 0.0,
        baseline_cost_usd=_compared(entry.cost_usd, entry.baseline_cost_usd),
        turns=int(turn),
        applied_first_time=int(turn and applied),
        applied=int(applied),
        rescued=int(applied and mends),
        failed=int(entry.outcome in FAILURES),
        escalated=int(entry.source is Source.ESCALATED),
        strongest_cost_usd=_compared(entry.cost_usd, entry.strongest_cost_usd),
        cheapest_cost_usd=_compared(entry.cost_usd, entry.cheapest_cost_usd),
        estimated=int(entry.tokens_estimated),
    )


def _compared(cost: float | None, other: float | None) -> float:
    """What counts as another model's cost: nothing without a cost to compare with, and that cost where none is known."""
    if cost is None:
        return 0.0
    return cost if other is None else other


def _plus(sums: Savings, other: Savings) -> Savings:
    added = {name: getattr(sums, name) + getattr(other, name) for name in NUMBERS}
    return Savings(sums.purpose, sums.model, **added)
