"""Shows the router's sums: as tables with what they mean in words, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from rich import box
from rich.table import Table

from router_client import Savings, SavingsRow

REPLIES = ("decisions", "turns", "applied\nat once", "rescued", "failed", "escalated")
COSTS = ("cost", "per\napplied", "strongest\nalone", "cheapest\nalone")
CAVEAT = (
    "The comparison prices the tokens of the replies that were given: another model's own replies would have been "
    "longer or shorter, and might have failed or been applied where these were not."
)
# The share of the replies whose tokens must be known before it is said what routing saved.
NEARLY_ALL = 0.95
# What asks for no edits, so that nothing can be applied.
TALK = frozenset({"ask", "context", "chat"})
# Below so many dollars two sums are the same.
CENT_FRACTION = 0.00005


def as_json(savings: Savings) -> str:
    """The rows and the total as one JSON document; what is not known is null."""
    return json.dumps({"rows": [asdict(row) for row in savings.rows], "total": asdict(savings.total)}, indent=2)


def as_tables(savings: Savings) -> tuple[Table, Table]:
    """How replies fared, and what they cost: a row for each purpose and model, and the total."""
    return _table("How replies fared", REPLIES, savings, _counts), _table("What they cost", COSTS, savings, _costs)


def in_words(savings: Savings) -> str:
    """What the sums mean, a sentence a line."""
    total = savings.total
    if not total.decisions:
        return "No decisions are kept for this span; there is nothing to sum up yet."
    return "\n".join([_spent(total), *_fared(savings), *_comparison(total)])


def _spent(total: SavingsRow) -> str:
    told = f"{_count(total.decisions, 'decision')}, {_count(total.replies, 'reply', 'replies')}"
    if not total.reported:
        return f"{told}; no tokens are known, so nothing can be said of costs."
    told += f", {dollars(total.cost_usd)}"
    if total.reported < total.replies:
        told += f"; the tokens of {total.reported} of them are known"
    if total.estimated:
        told += (
            f"; the tokens of {total.estimated} are estimated from the texts' length, for want of the provider's count"
        )
    return told + "."


def _fared(savings: Savings) -> list[str]:
    """How replies fared: first replies to what asks for edits, for nothing else can be applied; then all."""
    total = savings.total
    others = sum(row.turns for row in savings.rows if row.purpose in TALK)
    # The rows count a plan and the editor's work on it each; the total knows that they are one turn.
    talked = sum(row.judged for row in savings.rows if row.purpose in TALK)
    edits, judged = total.turns - others, total.judged - talked
    lines = []
    if edits:
        lines.append(
            f"Edits were asked for in {_count(edits, 'turn')}; of {judged} it is known how the first reply fared, and "
            f"{total.applied_first_time} had it applied."
        )
    if others:
        lines.append(f"{_count(others, 'more turn' if edits else 'turn')} asked for no edits.")
    if edits or total.rescued or total.failed:
        lines.append(
            f"Replies that failed: {total.failed:,}; that were applied after a failure: {total.rescued:,}; decisions that went "
            f"to another model because of one: {total.escalated:,}."
        )
    return lines


def _comparison(total: SavingsRow) -> list[str]:
    """What the same tokens would have cost elsewhere; nothing is claimed on the strength of a part of the replies."""
    if not total.reported:
        return []
    if total.reported < NEARLY_ALL * total.replies:
        return [
            f"What routing saved is not said: that takes the tokens of nearly all replies, and those of {total.reported} of "
            f"{total.replies} are known."
        ]
    others = [
        ("The strongest candidate alone", total.strongest_cost_usd),
        ("The cheapest candidate alone", total.cheapest_cost_usd),
    ]
    if abs(total.baseline_cost_usd - total.cost_usd) > CENT_FRACTION:
        others.append(("The profiles' baselines", total.baseline_cost_usd))
    lines = [f"{name}: {dollars(other)}; routing {_against(total.cost_usd, other)}." for name, other in others]
    return [*lines, CAVEAT]


def dollars(amount: float | None) -> str:
    """An amount to read: cents for large ones, four places for small ones, a dash for none."""
    if amount is None:
        return "-"
    return f"${amount:,.2f}" if amount >= 100 else f"${amount:.4f}"  # noqa: PLR2004 - a hundred dollars


def _against(cost: float, other: float) -> str:
    difference = other - cost
    if abs(difference) < CENT_FRACTION:
        return "cost the same"
    share = f" ({abs(difference) / other:.0%})" if other else ""
    return f"saved {dollars(difference)}{share}" if difference > 0 else f"cost {dollars(-difference)} more{share}"


def _table(title: str, columns: Sequence[str], savings: Savings, figures: Callable[[SavingsRow], list[str]]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("purpose", no_wrap=True)
    table.add_column("model", overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row in savings.rows:
        table.add_row(row.purpose, row.model, *figures(row))
    table.add_section()
    table.add_row("total", "", *figures(savings.total), style="bold")
    return table


def _counts(row: SavingsRow) -> list[str]:
    counts = (row.decisions, row.turns, row.applied_first_time, row.rescued, row.failed, row.escalated)
    return [f"{count:,}" for count in counts]


def _costs(row: SavingsRow) -> list[str]:
    if not row.reported:
        return ["-"] * len(COSTS)
    return [*map(dollars, (row.cost_usd, row.cost_per_applied_usd, row.strongest_cost_usd, row.cheapest_cost_usd))]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
