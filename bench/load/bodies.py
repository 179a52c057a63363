"""L6: prompts of fifteen megabytes among small requests; how long the edge's event loop is deaf shows at its health probe."""

from __future__ import annotations

from collections.abc import Callable

from bench.load.generator import at_rate
from bench.load.house import house
from bench.load.prompts import Ask, Probe
from bench.load.report import Figure

LARGE = Ask(15_000_000)
PROBES = 100.0


def large(figure: Figure, seconds: Callable[[float], float]) -> None:
    """One large prompt every two seconds, fifty small requests a second, and probes beside them; each from its own process."""
    long = max(6.0, seconds(30))
    with house(3) as here:
        run = here.generators.apply_async
        run(at_rate, (here.port, Ask(2_000), 50.0, 3.0, "warm")).get(60)
        quiet_small = run(at_rate, (here.port, Ask(2_000), 50.0, long / 2, "quiet"))
        quiet = run(at_rate, (here.port, Probe(), PROBES, long / 2)).get(long + 60)
        quiet_small.get(60)
        before = here.edge_holds()
        with here.watch() as watch:
            small = run(at_rate, (here.port, Ask(2_000), 50.0, long, "small"))
            huge = run(at_rate, (here.port, LARGE, 0.5, long, "large"))
            probed = run(at_rate, (here.port, Probe(), PROBES, long)).get(long + 120)
            smalls, larges = small.get(120), huge.get(120)
        after = here.edge_holds()
    figure.machine = watch.told
    figure.at_most("event loop deaf p99", probed.latency(0.99), 100, "ms")
    figure.at_most("errors", sum(len(load.sent) - load.served for load in (probed, smalls, larges)), 0)
    figure.seen = {
        "without_large_p99_ms": round(quiet.latency(0.99), 1),
        "without_large_max_ms": round(quiet.latency(1.0), 1),
        "deaf_p50_ms": round(probed.latency(0.5), 1),
        "deaf_p95_ms": round(probed.latency(0.95), 1),
        "deaf_max_ms": round(probed.latency(1.0), 1),
        "small_p50_ms": round(smalls.latency(0.5), 1),
        "small_p99_ms": round(smalls.latency(0.99), 1),
        "large": larges.statuses(),
        "large_p50_ms": round(larges.latency(0.5)),
        "before": before,
        "after": after,
    }
