"""What more processes bring: requests a second through one and two edges, before one and two routers, on the machine's cores.

Two edges listen on two ports, and the load is spread over both.
"""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from bench.peers import generator, ours, rounds
from bench.peers.loads import named
from bench.peers.peer import Peer, Place, Running
from bench.peers.placement import FREE
from tests.processes import free_port

LOAD = replace(named(["c64"])[0], seconds=2.0)
COUNTS = (1, 2)


def measure(count: int, scale: float) -> list[dict[str, Any]]:
    """Medians of so many rounds, in which all combinations take turns."""
    load = replace(LOAD, seconds=LOAD.seconds * scale)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        mock_port = free_port()
        mock = generator.start_mock(mock_port)
        stack.callback(mock.stop)
        houses: dict[tuple[int, int], rounds.Seat] = {}
        for edges, routers in product(COUNTS, COUNTS):
            folder = Path(name) / f"{edges}-{routers}"
            folder.mkdir()
            title = f"{edges} edges, {routers} routers"
            peer = Peer(folder.name, title, partial(_house, edges=edges, routers=routers))
            houses[edges, routers] = rounds.seat(peer, Place(mock_port, folder, stack, mock.popen.pid), FREE)
        taken: dict[tuple[int, int], list[float]] = {counts: [] for counts in houses}
        for _ in range(count):
            for counts, seat in houses.items():
                taken[counts].append(rounds.once(seat, load, FREE).per_second)
    return [
        {"edges": edges, "routers": routers, "per_second": round(statistics.median(rates), 1)}
        for (edges, routers), rates in taken.items()
    ]


def _house(place: Place, edges: int, routers: int) -> Running:
    asked = ours.routers(place, routers)
    served = [ours.edge(place, [port for port, _ in asked], place.provider) for _ in range(edges)]
    return ours.running([port for port, _ in served], [process for _, process in (*served, *asked)])
