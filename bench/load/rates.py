"""L1 and L4: plain requests at a rate that is usual, and at three times what can be served."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean

from bench.load.arithmetic import percentile, settled_after
from bench.load.generator import OK, at_rate, closed
from bench.load.house import house
from bench.load.prompts import Ask
from bench.load.report import Figure
from tests.processes import log_events

PROMPT = Ask(8_000)
RATE = 60.0
# The clients at once among whom the peak is found, and the times that peak.
CONCURRENCY, OVERLOAD = 16, 3
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
    """The peak is what a closed loop gets; then the offered rate is three times that, then the usual again, and the peak.

    What this machine can do in a minute differs from one to the next by a fifth, so goodput is held to the mean of both peaks.
    """
    with house(2) as here:
        run = here.generators.apply_async
        at_peak = run(closed, (here.port, PROMPT, CONCURRENCY, seconds(15))).get(90)
        peak = at_peak.served / at_peak.seconds
        before = run(at_rate, (here.port, PROMPT, USUAL * peak, max(5.0, seconds(10)), "before")).get(90)
        here.counts()
        long = seconds(60)
        with here.watch() as watch:
            offered = run(at_rate, (here.port, PROMPT, OVERLOAD * peak, long, "over"))
            later = run(at_rate, (here.port, PROMPT, USUAL * peak, 15.0, "after", long))
            over, after = offered.get(long + 180), later.get(long + 180)
        figure.machine = watch.told
        most_at_the_stub = here.counts()["most_open"]
        peak_after = run(closed, (here.port, PROMPT, CONCURRENCY, seconds(15), "c2")).get(90)
        queued = [event["queued"] for event in log_events(here.edge, "overloaded")]
    peaks = [peak, peak_after.served / peak_after.seconds]
    good = sum(one.status == OK and one.due + one.ms / 1000 <= long for one in over.sent) / long
    refused = [one for one in over.sent if one.status != OK]
    usual_ms = before.latency(0.9)
    figure.at_least("goodput, of the peak", 100 * good / (sum(peaks) / 2), 80, "%")
    figure.at_most("refusals p99", percentile((one.ms for one in refused), 0.99), 100, "ms")
    figure.at_most("refusals without retry-after", sum(not one.retry_after for one in refused), 0)
    # The first line tells of the crowd that is spared as it begins.
    figure.at_most("queued in the edge, on the mean", mean(queued[1:] or [0]), 2 * CONCURRENCY)
    settled = settled_after([(one.due, one.ms, one.status == OK) for one in after.sent], 2 * usual_ms)
    figure.at_most("normal again after", settled, 5, "s")
    figure.seen = {
        "peaks_per_s": [round(one, 1) for one in peaks],
        "peak_p50_ms": round(at_peak.latency(0.5), 1),
        "offered_per_s": round(OVERLOAD * peak, 1),
        "goodput_per_s": round(good, 1),
        "statuses": over.statuses(),
        "served_p50_ms": round(over.latency(0.5), 1),
        "served_p99_ms": round(over.latency(0.99), 1),
        "refused_p50_ms": round(over.latency(0.5, served=False), 1),
        "queued": queued,
        # What was on its way, and what was being refused, among them.
        "in_flight_p50": percentile(over.in_flight, 0.5),
        "in_flight_p99": percentile(over.in_flight, 0.99),
        "in_flight_max": max(over.in_flight),
        "most_at_the_stub": most_at_the_stub,
        "before_p90_ms": round(usual_ms, 1),
        "before_p99_ms": round(before.latency(0.99), 1),
        "after_p90_ms": round(after.latency(0.9), 1),
        "after_statuses": after.statuses(),
    }
