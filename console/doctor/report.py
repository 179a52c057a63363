"""Shows findings: a line each, what to do below it, and how many there are of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from console.doctor.findings import Finding, Level

STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


def show(found: Sequence[Finding], out: Console) -> None:
    """Print them as a table without lines, and sum them up."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in found:
        text = Text(one.text)
        if one.advice:
            text.append(f"\n→ {one.advice}")
        table.add_row(Text(one.level, style=STYLES[one.level]), one.check, text)
    out.print(table)
    out.print()
    out.print(summary(found), markup=False)


def summary(found: Sequence[Finding]) -> str:
    """How many of each kind, in a sentence."""
    count = Counter(one.level for one in found)
    problems, warnings = count[Level.PROBLEM], count[Level.WARNING]
    if not (problems or warnings):
        return f"All is well: {len(found)} checks."
    told = [
        f"{number} {what}{'' if number == 1 else 's'}"
        for number, what in ((problems, "problem"), (warnings, "warning"))
        if number
    ]
    return f"{' and '.join(told)}; {count[Level.OK]} checks are well."


def as_document(found: Sequence[Finding]) -> dict[str, Any]:
    """The same for programs."""
    count = Counter(one.level for one in found)
    return {"findings": [asdict(one) for one in found], "summary": {level.value: count[level] for level in Level}}


def exit_code(found: Sequence[Finding]) -> int:
    """1 when there is a problem, else 0."""
    return int(any(one.level is Level.PROBLEM for one in found))
