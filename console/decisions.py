"""Shows decisions: many as a table, one that has just been made as a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from console.moments import shown_clock, shown_time
from console.savings import dollars

# Columns of a line, in characters.
PURPOSE, MODEL, SOURCE = 10, 34, 14


def as_table(decisions: Sequence[Mapping[str, Any]]) -> Table:
    """A row for each decision, in their order."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("time", "purpose", "profile", "model", "by", "outcome"):
        table.add_column(heading, overflow="fold")
    table.add_column("cost", justify="right", no_wrap=True)
    table.add_column("decision", overflow="fold")
    for one in decisions:
        served = one["served_model"]
        model = one["model"] if served in ("", one["model"]) else f"{one['model']} → {served}"
        table.add_row(
            shown_time(one["time"]),
            one["purpose"],
            one["profile"] or "-",
            model,
            one["source"],
            one["outcome"].replace("_", " ") or "-",
            dollars(one["cost_usd"]),
            one["decision_id"],
        )
    return table


def as_line(kind: str, event: Mapping[str, Any]) -> str:
    """A decision that was made, or a report on one."""
    if kind == "outcome":
        words = event["outcome"].replace("_", " ") or "unknown"
        cost = "" if event["cost_usd"] is None else f"  {dollars(event['cost_usd'])}"
        about = f"{words:{PURPOSE}}  {event['served_model']:{MODEL}}  {'reported':{SOURCE}}"
        return f"{'':8}  {about}  {event['decision_id']}{cost}"
    return (
        f"{shown_clock(event['time'])}  {event['purpose']:{PURPOSE}}  {event['model']:{MODEL}}  "
        f"{event['source']:{SOURCE}}  {event['decision_id']}  {event['reason']}"
    )
