"""The arithmetic of the comparison: what a run's counts mean, medians of rounds, what is added over going direct."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.peers.generator import Look

# Per cent of the machine that others may use for a round to count among the quiet ones, and how many of these are enough.
OTHERS, ENOUGH = 25.0, 3
# Of the most streams open at once, the share from which on a look counts as one at all of them.
ALL_OPEN = 0.98


@dataclass(frozen=True, slots=True)
class Sample:
    """One run against one peer; None where the load has no such figure.

    `cpu_ms`: of all the peer's processes, a request. `event_us`: CPU of an event relayed, while all streams are open.
    `stream_kb`: memory of an open stream. `other_percent` and `steal_percent`: of the whole machine.
    """

    served: int
    errors: int
    per_second: float
    cpu_ms: float
    p50_ms: float | None
    p99_ms: float | None
    first_ms: float | None
    event_us: float | None
    stream_kb: float | None
    most_open: int
    rss_mb: float
    other_percent: float
    steal_percent: float
    first_error: str = ""


Figure = dict[str, Any]


def sample(
    counted: Mapping[str, Any], looks: Sequence[Look], cpu: float, rss_mb: float, other: float, steal: float
) -> Sample:
    """What the generator counted, with the peer's CPU seconds meanwhile."""
    served = counted["served"]
    whole, first = counted["whole_ms"] or {}, counted["first_ms"] or {}
    return Sample(
        served=served,
        errors=counted["errors"] + counted["unfinished"],
        per_second=counted["per_second"],
        cpu_ms=1000 * cpu / max(1, served),
        p50_ms=whole.get("p50"),
        p99_ms=whole.get("p99"),
        first_ms=first.get("p50"),
        event_us=event_us(looks),
        stream_kb=stream_kb(looks),
        most_open=counted["most_open"],
        rss_mb=rss_mb,
        other_percent=other,
        steal_percent=steal,
        first_error=counted["first_error"],
    )


def event_us(looks: Sequence[Look]) -> float | None:
    """CPU microseconds an event, from the first look at all streams open to the last: opening them is not counted."""
    if len(looks) < 2:
        return None
    most = max(look.open for look in looks)
    steady = [look for look in looks if look.open >= ALL_OPEN * most]
    events = steady[-1].events - steady[0].events
    return 1e6 * (steady[-1].cpu - steady[0].cpu) / events if most and events else None


def stream_kb(looks: Sequence[Look]) -> float | None:
    """Memory of an open stream: what the peer holds at most beyond what it held before, by the most streams open."""
    most = max((look.open for look in looks), default=0)
    return 1000 * (max(look.rss_mb for look in looks) - looks[0].rss_mb) / most if most else None


def medians(samples: Sequence[Sample]) -> Figure:
    """The median of each figure over the quiet rounds, or over all where too few were quiet; and how many of how many."""
    quiet = [one for one in samples if one.other_percent < OTHERS]
    counted = quiet if len(quiet) >= min(ENOUGH, len(samples)) else list(samples)
    rows = [asdict(one) for one in counted]
    figure: Figure = {"rounds": len(samples), "quiet": len(quiet)}
    for name in (name for name in rows[0] if name != "first_error"):
        values = [row[name] for row in rows if row[name] is not None]
        figure[name] = round(statistics.median(values), 3) if values else None
    figure["errors"] = sum(one.errors for one in samples)
    figure["first_error"] = next((one.first_error for one in samples if one.first_error), "")
    return figure


def added(figure: Figure | None, direct: Figure | None, name: str) -> float | None:
    """How much more it is than without the peer."""
    if not figure or not direct or figure.get(name) is None or direct.get(name) is None:
        return None
    return float(figure[name] - direct[name])


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """How many times the peer's figure is ours."""
    return theirs / ours if ours and theirs is not None else None
