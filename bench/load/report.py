"""What was measured beside what it is held to: a table for people, a file for later."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.load.machine import about

RESULTS = Path(__file__).resolve().parent.parent / "results"


@dataclass(frozen=True, slots=True)
class Check:
    """One bound; `held` is None where it was not measured."""

    what: str
    bound: str
    measured: str
    held: bool | None


@dataclass(slots=True)
class Figure:
    """One figure: its checks, what else was seen, and what the machine did meanwhile."""

    name: str
    title: str
    checks: list[Check] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    def at_most(self, what: str, measured: float, bound: float, unit: str = "") -> None:
        """The measured value may not pass the bound."""
        self._add(what, "<=", measured, bound, unit, measured <= bound)

    def at_least(self, what: str, measured: float, bound: float, unit: str = "") -> None:
        """The measured value has to reach the bound."""
        self._add(what, ">=", measured, bound, unit, measured >= bound)

    def missing(self, what: str, bound: str, why: str) -> None:
        """It could not be measured here."""
        self.checks.append(Check(what, bound, why, None))

    def failed(self, why: str) -> None:
        """The measurement itself broke."""
        self.checks.append(Check("measurement", "runs to its end", why.partition("\n")[0], False))

    @property
    def held(self) -> bool:
        """Whether nothing that was measured passed its bound."""
        return all(check.held is not False for check in self.checks)

    def _add(self, what: str, sign: str, measured: float, bound: float, unit: str, held: bool) -> None:
        unit = unit and f" {unit}"
        self.checks.append(Check(what, f"{sign} {number(bound)}{unit}", f"{number(measured)}{unit}", held))


def number(value: float) -> str:
    """Short, and never more exact than it is."""
    if math.isnan(value) or math.isinf(value):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def table(figures: Iterable[Figure]) -> str:
    """A line for each bound."""
    rows = [("figure", "what", "bound", "measured", "")]
    for figure in figures:
        rows += [(figure.name, check.what, check.bound, check.measured, _word(check)) for check in figure.checks]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def write(name: str, figures: Sequence[Figure], settings: Mapping[str, Any], *, whole: bool) -> Path:
    """Write the result; a shortened or partial one goes where git does not look."""
    folder = RESULTS if whole else RESULTS / "local"
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": about(),
        **settings,
        "held": all(figure.held for figure in figures),
        "figures": [asdict(figure) for figure in figures],
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(_finite(result), indent=1) + "\n")
    return path


def _finite(value: Any) -> Any:
    """JSON knows neither infinity nor not-a-number."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(held) for key, held in value.items()}
    return [_finite(held) for held in value] if isinstance(value, list) else value


def _word(check: Check) -> str:
    if check.held is None:
        return "-"
    return "held" if check.held else "NOT HELD"
