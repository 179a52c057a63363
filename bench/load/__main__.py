"""Measures the load figures and prints which bounds held: `python -m bench.load [FIGURE ...]`.

SCALE=0.1 takes a tenth of the time; what is not whole is written to bench/results/local/.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable

from bench.load import bodies, decisions, doors, flows, outage, rates
from bench.load.machine import progress
from bench.load.report import Figure, table, write

Measure = Callable[[Figure, Callable[[float], float]], None]
FIGURES: dict[str, tuple[str, Measure]] = {
    "L1": ("60 plain requests a second, prompts of 8 kB", rates.usual),
    "L2": ("100 streams of 20 chunks a second", flows.fast),
    "L3": ("300 open streams of a chunk a second", flows.many),
    "L4": ("three times the peak", rates.overload),
    "L5": ("50 slow readers beside 50 requests a second", flows.slow),
    "L6": ("prompts of 15 MB among 50 small requests a second", bodies.large),
    "L7": ("1,000 connections a second that come and go", doors.comings_and_goings),
    "L8": ("the router alone, prompts of 2 kB", decisions.alone),
    "L9": ("start, memory when idle, images", doors.beginnings),
    "S3": ("upstream calls in a total outage", outage.amplification),
}
# Seconds after which a figure is given up, whatever it waits for.
LONGEST = 600


class Overdue(Exception):
    """A figure took too long."""


def main() -> int:
    """Measure, print and write; 1 when a bound did not hold."""
    wanted = sys.argv[1:] or list(FIGURES)
    if unknown := [name for name in wanted if name not in FIGURES]:
        sys.stderr.write(f"There is no figure {unknown[0]}; there are {', '.join(FIGURES)}.\n")
        return 2
    scale = float(os.environ.get("SCALE") or 1)
    signal.signal(signal.SIGALRM, _overdue)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    figures = []
    for name in wanted:
        title, measure = FIGURES[name]
        figure = Figure(name, title)
        with progress(f"{name}: {title}"):
            _measured(figure, measure, scale)
        figures.append(figure)
    print(table(figures))
    whole = scale == 1 and not sys.argv[1:]
    print(f"written: {write('load', figures, {'scale': scale}, whole=whole)}")
    return 0 if all(figure.held for figure in figures) else 1


def _measured(figure: Figure, measure: Measure, scale: float) -> None:
    signal.alarm(LONGEST)
    try:
        measure(figure, lambda seconds: max(2.0, seconds * scale))
    except Exception as error:  # one figure that cannot be measured does not cost the others
        sys.stderr.write(traceback.format_exc())
        figure.failed(f"{type(error).__name__}: {str(error)[:200]}")
    finally:
        signal.alarm(0)


def _overdue(*_: object) -> None:
    raise Overdue(f"not within {LONGEST} s")


if __name__ == "__main__":
    sys.exit(main())
