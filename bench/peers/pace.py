"""What each process pays a request, and holds, at which pace: in a chain every one is asked less often than it is alone.

A process that is seldom asked wakes up for each request, and finds its caches used by others.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from bench.peers import generator, ours, portkey, rounds
from bench.peers.loads import Load, named
from bench.peers.placement import Layout, cpu_seconds, rss_mb, tree
from bench.peers.rounds import RUN, Seat

THINK_MS = (0, 15, 40, 90)
# In the order in which a peer tells its processes.
PROCESSES: Mapping[str, tuple[str, ...]] = {
    "fresh": ("edge", "router"),
    "leased": ("edge", "router"),
    "ours-portkey": ("edge", "router", "portkey"),
    "portkey": ("portkey",),
}
PEERS = tuple(peer for peer in (*ours.PEERS, *portkey.PEERS) if peer.name in PROCESSES)


def measure(count: int, scale: float, layout: Layout) -> list[dict[str, Any]]:
    """A row for each peer and pace: medians of so many rounds, in which the peers take turns."""
    with rounds.seated(PEERS, layout) as present:
        loads = [replace(load, seconds=load.seconds * scale) for load in _loads()]
        taken = {(load.think_ms, seat.peer.name): [] for load in loads for seat in present.seats}
        for load in loads:
            for _ in range(count):
                for seat in present.seats:
                    taken[load.think_ms, seat.peer.name].append(_once(seat, load, layout))
        missing = [{"peer": name, "not measured": why} for name, why in present.absent.items()]
    rows = [
        {"peer": name, "think_ms": think_ms, **{what: _median(found, what) for what in found[0]}}
        for (think_ms, name), found in taken.items()
    ]
    return [*rows, *missing]


def _loads() -> Iterator[Load]:
    (busiest,) = named(["c16"])
    for think_ms in THINK_MS:
        yield replace(busiest, think_ms=think_ms, seconds=1.2)


def _once(seat: Seat, load: Load, layout: Layout) -> dict[str, float]:
    named_pids = dict(zip(PROCESSES[seat.peer.name], (tree([pid]) for pid in seat.running.pids), strict=True))
    before = {name: cpu_seconds(pids) for name, pids in named_pids.items()}
    counted, _ = generator.run(load, seat.running.ports, seat.files(load), next(rounds.RUNS) * RUN, layout.load)
    rounds.wait_for_rest(seat.pids())
    spent = {name: (cpu_seconds(pids) - before[name]) * 1000 / counted["served"] for name, pids in named_pids.items()}
    return {
        "per_second": counted["per_second"],
        "cpu_ms_each": sum(spent.values()),
        **{f"{name}_ms": cpu for name, cpu in spent.items()},
        **{f"{name}_rss_mb": rss_mb(pids) for name, pids in named_pids.items()},
    }


def _median(found: list[dict[str, float]], what: str) -> float:
    return round(statistics.median(one[what] for one in found), 2)
