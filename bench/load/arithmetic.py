"""The arithmetic of the measurements: percentiles, slopes, and when things were back to normal."""

import math
import statistics
from collections.abc import Iterable, Sequence


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share of them does not pass; not-a-number without values."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """How much y grows with each x, by least squares; not-a-number for fewer than three points."""
    if len(points) < 3:
        return math.nan
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


def settled_after(samples: Sequence[tuple[float, float, bool]], bound: float, window: float = 1.0) -> float:
    """Seconds until each later window is good: nine in ten within the bound, and none failed; infinity when the last is not.

    A sample is when it was due, what it took, and whether it was served.
    """
    windows: dict[int, list[tuple[float, bool]]] = {}
    for due, took, served in samples:
        windows.setdefault(int(due / window), []).append((took, served))
    after = 0.0
    last = max(windows, default=-1)
    for number, held in sorted(windows.items()):
        good = all(served for _, served in held) and percentile((took for took, _ in held), 0.9) <= bound
        if not good:
            after = math.inf if number == last else (number + 1) * window
    return after if windows else math.inf
