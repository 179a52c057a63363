"""L2, L3 and L5: many streams at once: how late their bytes come, what they weigh, and whether slow readers harm others."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from bench.load.arithmetic import percentile
from bench.load.connection import now
from bench.load.generator import OK, at_rate, closed, slow_readers, streams
from bench.load.house import House, house
from bench.load.prompts import Ask, Wish
from bench.load.report import Figure
from tests.processes import wait_until

# Seconds for slow readers to come and for the buffers on their way to fill.
FILLED = 30.0


def fast(figure: Figure, seconds: Callable[[float], float]) -> None:
    """A hundred streams of twenty chunks a second; each chunk says when it was sent."""
    count, rate, long = 100, 20.0, seconds(60)
    ask = Ask(2_000, Wish(int(rate * long), rate))
    with house(1) as here:
        here.generators.apply(closed, (here.port, Ask(2_000), 4, 2.0, "warm"))
        with here.watch() as watch:
            found = here.generators.apply_async(streams, (here.port, ask, count, 1.0)).get(long + 60)
        digests = here.counts()["digests"]
    figure.machine = watch.told
    delays = [delay for stream in found for delay in stream.delays]
    whole = sum(stream.status == OK and digests.get(stream.name) == stream.digest for stream in found)
    figure.at_least("streams with equal SHA-256", whole, count)
    figure.at_most("chunk delay p99", percentile(delays, 0.99), 60, "ms")
    figure.at_most("edge, of one core", watch.cpu("edge"), 60, "%")
    figure.seen = {
        "chunks": len(delays),
        "delay_p50_ms": round(percentile(delays, 0.5), 2),
        "delay_max_ms": round(max(delays, default=0), 1),
        "edge_cpu_us_a_chunk": round(1e4 * watch.cpu("edge") * watch.told["seconds"] / max(1, len(delays)), 1),
    }


def many(figure: Figure, seconds: Callable[[float], float]) -> None:
    """Three hundred streams of one chunk a second; the edge's memory before, and while all of them are open."""
    count, long = 300, max(25.0, seconds(60))
    ask = Ask(2_000, Wish(int(long), 1.0))
    with house(1) as here:
        here.generators.apply(closed, (here.port, Ask(2_000), 16, 5.0, "warm"))
        before = here.edge_holds()
        with here.watch() as watch:
            opened = here.generators.apply_async(streams, (here.port, ask, count, 10.0))
            wait_until(lambda: here.counts()["open"] >= count, "all streams open", 30)
            during = _most_memory(here, long - 15)
            found = opened.get(long + 60)
    figure.machine = watch.told
    each = (during["rss_mb"] - before["rss_mb"]) * 1000 / count
    figure.at_most("memory of one open stream", each, 80, "kB")
    figure.at_least(
        "streams that finish", sum(stream.status == OK and len(stream.delays) == int(long) for stream in found), count
    )
    figure.seen = {"before": before, "during": during}


def slow(figure: Figure, seconds: Callable[[float], float]) -> None:
    """Normal requests alone and beside fifty clients that read two kilobytes a second, in turn, three times each."""
    count, rate, long = 50, 50.0, max(5.0, seconds(20))
    # More than the buffers on the way hold.
    torrent = Ask(2_000, Wish(1_000_000, 10.0, pad=64_000))
    alone: list[float] = []
    beside: list[float] = []
    gone: list[float] = []
    failed, got = 0, [0]
    with house(2) as here:
        run = here.generators.apply_async
        run(at_rate, (here.port, Ask(2_000), rate, 5.0, "warm")).get(60)
        before = here.edge_holds()
        with here.watch() as watch:
            for turn in range(3):
                load = run(at_rate, (here.port, Ask(2_000), rate, long, f"alone{turn}-")).get(long + 60)
                alone.append(load.latency(0.99))
                readers = run(slow_readers, (here.port, torrent, count, long + FILLED + 5))
                wait_until(lambda: here.counts()["behind"] >= 0.9 * count, "the slow readers' buffers full", FILLED)
                # Filling the buffers is work for the edge that any stream makes; it is over before the others are timed.
                load = run(at_rate, (here.port, Ask(2_000), rate, long, f"beside{turn}-")).get(long + 60)
                during = here.edge_holds()
                beside.append(load.latency(0.99))
                failed += len(load.sent) - load.served
                got = readers.get(FILLED + 60)
                left = now()
                wait_until(lambda: here.counts()["open"] == 0, "the slow readers gone", 90)
                gone.append(round(now() - left, 1))
    figure.machine = watch.told
    change = 100 * (statistics.median(beside) / statistics.median(alone) - 1)
    figure.at_most("change of others' p99", change, 20, "%")
    figure.at_most("others' errors", failed, 0)
    figure.seen = {
        "alone_p99_ms": [round(value, 1) for value in alone],
        "beside_p99_ms": [round(value, 1) for value in beside],
        "bytes_a_reader_got": [min(got), max(got)],
        "upstream_let_go_after_s": gone,
        "kb_a_reader": round((during["rss_mb"] - before["rss_mb"]) * 1000 / count, 1),
        "before": before,
        "during": during,
    }


def _most_memory(here: House, seconds: float) -> dict[str, float]:
    """What the edge holds when it holds most, of a look each second."""
    most = here.edge_holds()
    looks = 0

    def looked() -> bool:
        nonlocal most, looks
        looks += 1
        most = max(most, here.edge_holds(), key=lambda holds: holds["rss_mb"])
        return looks >= seconds * 20  # wait_until looks twenty times a second

    wait_until(looked, "the streams' time", seconds * 3 + 10)
    return most
