"""S3: all providers answer 503, behind the real open-source Portkey; what they hear for each request of a client."""

from __future__ import annotations

from collections.abc import Callable

from bench.load.generator import Load, at_rate
from bench.load.house import house
from bench.load.prompts import Ask, Wish
from bench.load.report import Figure
from tests.processes import free_port, start_portkey

RATE = 25.0
REFUSED = Ask(2_000, Wish(fault="refuse"))
# Second attempts before the share holds: the edge's allowance for short failures, and as many that are under way before the
# first of them is known to have failed.
AT_ONCE = 2 * 10


def amplification(figure: Figure, seconds: Callable[[float], float]) -> None:
    """As shipped, and once more without circuits, where the budget for second attempts stands alone."""
    port = free_port()
    portkey = start_portkey(port)
    try:
        shipped, calls = _outage(figure, port, seconds(20))
        bare, bare_calls = _outage(figure, port, seconds(20), EDGE_CIRCUIT_FAILURES="0")
    finally:
        portkey.stop()
    figure.at_most("upstream calls, of client calls", calls / len(shipped.sent), 1.1)
    allowed = 1.1 * len(bare.sent) + AT_ONCE
    figure.at_most("without circuits: upstream calls", bare_calls, round(allowed))
    figure.at_least("upstream calls at all", calls, 1)
    figure.at_most("answers that are no 503 with retry-after", _unlike(shipped), 0)
    figure.seen = {
        "client_calls": len(shipped.sent),
        "upstream_calls": calls,
        "without_circuits": {"client_calls": len(bare.sent), "upstream_calls": bare_calls},
        "statuses": shipped.statuses(),
        "p99_ms": round(shipped.latency(0.99, served=False), 1),
    }


def _outage(figure: Figure, portkey: int, long: float, **env: str) -> tuple[Load, int]:
    with house(1, portkey=portkey, **env) as here:
        with here.watch() as watch:
            load = here.generators.apply_async(at_rate, (here.port, REFUSED, RATE, long)).get(long + 60)
        figure.machine = watch.told
        return load, here.counts()["calls"]


def _unlike(load: Load) -> int:
    return sum(one.status != 503 or not one.retry_after for one in load.sent)
