"""What many decisions add up to, by purpose and model, by caller, and in all; in memory here, by the same rules in `reads`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import fields, replace

from router_service.domain import FAILURES, Outcome, Purpose, Source
from router_service.ledger.summaries import VERDICTS
from router_service.records import Savings, Spending, Summary

# What the user asks for; the others Aider asks for by itself.
TURNS = frozenset({Purpose.CODE, Purpose.ASK, Purpose.CONTEXT, Purpose.ARCHITECT, Purpose.EDITOR, Purpose.CHAT})
# Failures that the next request asks to mend; what follows an undone reply is a new request of the user.
TO_MEND = FAILURES - {Outcome.UNDONE}
# Nothing came of these; the client sends the request again, and that is a decision of its own.
UNANSWERED = frozenset({Outcome.UNKNOWN, Outcome.NONE, Outcome.PROVIDER_FAILED})
NUMBERS = tuple(field.name for field in fields(Savings) if field.name not in ("purpose", "model"))


def sum_up(summaries: Iterable[Summary]) -> tuple[Savings, ...]:
    """Sums for each purpose and model, the dearest first; a decision with nothing to compare with counts as it cost."""
    groups: dict[tuple[str, str], Savings] = {}
    for entry in summaries:
        key = (entry.purpose, entry.served_model or entry.model)
        alone = _alone(entry)
        groups[key] = _plus(groups[key], alone) if key in groups else alone
    return tuple(sorted(groups.values(), key=lambda sums: (-sums.cost_usd, str(sums.purpose), sums.model)))


def spend(costs: Iterable[tuple[str, float | None]]) -> tuple[Spending, ...]:
    """What each caller's replies have cost, by caller, from each decision's caller and cost."""
    dollars: dict[str, float] = {}
    decisions: dict[str, int] = {}
    for caller, cost in costs:
        dollars[caller] = dollars.get(caller, 0.0) + (cost or 0.0)
        decisions[caller] = decisions.get(caller, 0) + 1
    return tuple(Spending(caller, dollars[caller], decisions[caller]) for caller in sorted(dollars))


def total(rows: Sequence[Savings]) -> Savings:
    """All rows together, where a plan and the editor's work on it, two rows, are one turn of the user's."""
    added = Savings(None, "", **{name: sum(getattr(row, name) for row in rows) for name in NUMBERS})
    plans = [row for row in rows if row.purpose is Purpose.ARCHITECT]
    edits = [row for row in rows if row.purpose is Purpose.EDITOR]
    if not plans or not edits:
        return added

    def of(name: str, part: Sequence[Savings]) -> int:
        return sum(getattr(row, name) for row in part)

    # A plan counts as applied once its edits are, even if the editor had to be asked again: then it was a rescue.
    first = max(0, of("applied_first_time", plans) - of("rescued", edits))
    # A plan hears nothing of edits that failed, and an editor's turn may be a plan's second try.
    judged = min(of("turns", plans), max(of("judged", plans), of("judged", edits)))
    return replace(
        added,
        turns=added.turns - of("turns", edits),
        applied_first_time=added.applied_first_time - of("applied_first_time", [*plans, *edits]) + first,
        judged=added.judged - of("judged", [*plans, *edits]) + judged,
        applied=added.applied - of("applied", plans),
    )


def _alone(entry: Summary) -> Savings:
    """The sums of one decision."""
    applied = entry.outcome is Outcome.APPLIED
    mends = entry.previous_outcome in TO_MEND
    turn = entry.purpose in TURNS and not mends and entry.outcome is not Outcome.PROVIDER_FAILED
    reported = bool(entry.input_tokens or entry.output_tokens)
    return Savings(
        purpose=entry.purpose,
        model=entry.served_model or entry.model,
        decisions=1,
        reported=int(reported),
        input_tokens=entry.input_tokens,
        output_tokens=entry.output_tokens,
        cost_usd=entry.cost_usd or 0.0,
        baseline_cost_usd=_compared(entry.cost_usd, entry.baseline_cost_usd),
        turns=int(turn),
        applied_first_time=int(turn and applied),
        applied=int(applied and reported and entry.cost_usd is not None),
        rescued=int(applied and mends),
        failed=int(entry.outcome in FAILURES),
        escalated=int(entry.source is Source.ESCALATED),
        strongest_cost_usd=_compared(entry.cost_usd, entry.strongest_cost_usd),
        cheapest_cost_usd=_compared(entry.cost_usd, entry.cheapest_cost_usd),
        estimated=int(entry.tokens_estimated),
        judged=int(turn and entry.outcome in VERDICTS),
        replies=int(reported or entry.outcome not in UNANSWERED),
    )


def _compared(cost: float | None, other: float | None) -> float:
    """What counts as another model's cost: nothing without a cost to compare with, and that cost where none is known."""
    if cost is None:
        return 0.0
    return cost if other is None else other


def _plus(sums: Savings, other: Savings) -> Savings:
    added = {name: getattr(sums, name) + getattr(other, name) for name in NUMBERS}
    return Savings(sums.purpose, sums.model, **added)
