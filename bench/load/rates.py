"""L1 and L4: plain requests at a rate that is usual, and at three times what can be served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean
from typing import Any

from bench.load.arithmetic import percentile, settled_after
from bench.load.generator import OK, Load, at_rate, closed
from bench.load.house import House, house
from bench.load.prompts import Ask
from bench.load.report import Figure
from tests.processes import log_events

PROMPT = Ask(8_000)
RATE = 60.0
# The clients at once among whom the peak is found, the times that peak, and the stints of it.
CONCURRENCY, OVERLOAD, STINTS = 16, 3, 3
USUAL = 0.3


def usual(figure: Figure, seconds: Callable[[float], float]) -> None:
    """The stub answers at once, so all of the latency is added by what stands before it."""
    with house(1) as here:
        here.generators.apply(at_rate, (here.port, PROMPT, RATE, 5.0, "warm"))
        with here.watch() as watch:
            long = seconds(60)
            load = here.generators.apply_async(at_rate, (here.port, PROMPT, RATE, long)).get(long + 60)
    figure.machine = watch.told
    figure.at_most("errors", len(load.sent) - load.served, 0)
    figure.at_most("added latency p50", load.latency(0.5), 12, "ms")
    figure.at_most("added latency p99", load.latency(0.99), 80, "ms")
    figure.seen = {
        "requests": len(load.sent),
        "max_ms": round(load.latency(1.0), 1),
        "edge_cpu_ms_each": round(10 * watch.cpu("edge") * watch.told["seconds"] / len(load.sent), 2),
        "router_cpu_ms_each": round(10 * watch.cpu("router") * watch.told["seconds"] / len(load.sent), 2),
    }


def overload(figure: Figure, seconds: Callable[[float], float]) -> None:
    """The peak is what a closed loop gets; then the offered rate is three times that, then the usual again.

    What this machine can do differs by a fifth from one minute to the next, so there are stints of the overload with the peak
    found before, between and after them, and goodput is held to the mean of the peaks.
    """
    long = seconds(20)
    with house(2) as here:
        first = _peak(here, seconds(8))
        usual_rate, rate = USUAL * _rate(first), OVERLOAD * _rate(first)
        run = here.generators.apply_async
        before = run(at_rate, (here.port, PROMPT, usual_rate, max(5.0, seconds(10)), "before")).get(90)
        here.counts()
        stints = [_stint(here, rate, usual_rate, long, seconds(8), number + 1) for number in range(STINTS)]
        most_at_the_stub = here.counts()["most_open"]
    sent = [one for stint in stints for one in stint.over.sent]
    in_flight = [number for stint in stints for number in stint.over.in_flight]
    # The first line of a stint tells of the crowd that is spared as it begins.
    queued = [number for stint in stints for number in stint.queued[1:]]
    peaks, good = [first, *(stint.peak for stint in stints)], [_good(stint.over, long) for stint in stints]
    refused = [one for one in sent if one.status != OK]
    peak, usual_ms = mean(map(_rate, peaks)), before.latency(0.9)
    settled = [
        settled_after([(one.due, one.ms, one.status == OK) for one in stint.after.sent], 2 * usual_ms)
        for stint in stints
    ]
    figure.at_least("goodput, of the peak", 100 * mean(good) / peak, 80, "%")
    figure.at_most("refusals p99", percentile((one.ms for one in refused), 0.99), 100, "ms")
    figure.at_most("refusals without retry-after", sum(not one.retry_after for one in refused), 0)
    figure.at_most("queued in the edge, on the mean", mean(queued or [0]), 2 * CONCURRENCY)
    figure.at_most("normal again after", max(settled), 5, "s")
    figure.machine = {f"stint {number + 1}": stint.machine for number, stint in enumerate(stints)}
    figure.seen = {
        "peaks_per_s": [round(_rate(one), 1) for one in peaks],
        "peak_p50_ms": [round(one.latency(0.5), 1) for one in peaks],
        "offered_per_s": round(rate, 1),
        "goodput_per_s": [round(one, 1) for one in good],
        "statuses": [stint.over.statuses() for stint in stints],
        "served_p50_ms": [round(stint.over.latency(0.5), 1) for stint in stints],
        "served_p99_ms": [round(stint.over.latency(0.99), 1) for stint in stints],
        "refused_p50_ms": [round(stint.over.latency(0.5, served=False), 1) for stint in stints],
        "queued": queued,
        # What was on its way, and what was being refused, among them.
        "in_flight_p50": percentile(in_flight, 0.5),
        "in_flight_p99": percentile(in_flight, 0.99),
        "in_flight_max": max(in_flight),
        "most_at_the_stub": most_at_the_stub,
        "before_p90_ms": round(usual_ms, 1),
        "before_p99_ms": round(before.latency(0.99), 1),
        "normal_after_s": settled,
        "after_statuses": [stint.after.statuses() for stint in stints],
    }


@dataclass(frozen=True, slots=True)
class _Stint:
    """A while of overload, the usual after it, and the peak; `queued`: what the edge told of its queue, a line a second."""

    over: Load
    after: Load
    peak: Load
    queued: list[int]
    machine: dict[str, Any]


def _stint(here: House, rate: float, usual_rate: float, long: float, peak_seconds: float, number: int) -> _Stint:
    """One of them."""
    run = here.generators.apply_async
    told_before = len(log_events(here.edge, "overloaded"))
    with here.watch() as watch:
        offered = run(at_rate, (here.port, PROMPT, rate, long, f"over{number}"))
        later = run(at_rate, (here.port, PROMPT, usual_rate, 15.0, f"after{number}", long))
        over = offered.get(long + 180)
    after = later.get(long + 180)
    queued = [event["queued"] for event in log_events(here.edge, "overloaded")[told_before:]]
    return _Stint(over, after, _peak(here, peak_seconds, number), queued, watch.told)


def _peak(here: House, seconds: float, number: int = 0) -> Load:
    load: Load = here.generators.apply_async(closed, (here.port, PROMPT, CONCURRENCY, seconds, f"c{number}")).get(90)
    return load


def _good(load: Load, long: float) -> float:
    """How many a second were served before the load was over."""
    return sum(one.status == OK and one.due + one.ms / 1000 <= long for one in load.sent) / long


def _rate(load: Load) -> float:
    """How many were served in a second."""
    return load.served / load.seconds
