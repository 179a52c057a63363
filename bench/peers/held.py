"""Whether what is held makes a request dearer: CPU with more conversations and ledger rows, beside one that has just begun.

Both have their turns on the same core, for the machine's own pace changes while one of them is filled.
"""

from __future__ import annotations

import itertools
import sqlite3
import statistics
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.peers import generator, ours, rounds
from bench.peers.loads import Load, named
from bench.peers.peer import Peer, Place, Running
from bench.peers.placement import Layout
from bench.peers.rounds import Seat

LOAD = replace(named(["c16"])[0], seconds=1.5)
FILLING = replace(named(["c64"])[0], seconds=5.0)
CONVERSATIONS, ROWS = (10_000, 100_000), 1_000_000
# Rows of one transaction: short enough for the router's own to wait for.
CHUNK = 20_000
# Numbers of requests that no other run has.
_first = itertools.count(4_000_000_000, 1_000_000)


def measure(count: int, scale: float, layout: Layout) -> list[dict[str, Any]]:
    """A row for each state, from few conversations on: medians of the rounds, and of their ratios."""
    load = replace(LOAD, seconds=LOAD.seconds * scale)
    peers = [Peer("new", "has just begun", _house), Peer("grown", "grows", _house)]
    with rounds.seated(peers, layout) as present:
        if present.absent:
            return [{"not measured": str(present.absent)}]
        new, grown = present.seats
        return [
            {"conversations": conversations, "ledger_rows": rows, **_compared(new, grown, load, count, layout)}
            for conversations, rows in _states(grown, scale)
        ]


def _states(seat: Seat, scale: float) -> Iterator[tuple[int, int]]:
    """Fill it further before each is given: conversations and ledger rows, as many while each row is a new conversation's."""
    ledger = next(seat.place.folder.glob("*.sqlite"))
    yield (held := _rows(ledger)), held
    for wanted in CONVERSATIONS:
        while (held := _rows(ledger)) < wanted * scale:
            generator.run(FILLING, seat.running.ports, seat.files(FILLING), next(_first))
        yield held, held
    _copy(ledger, int(ROWS * scale))
    yield held, _rows(ledger)


def _compared(new: Seat, grown: Seat, load: Load, count: int, layout: Layout) -> dict[str, float]:
    pairs = [(rounds.once(new, load, layout).cpu_ms, rounds.once(grown, load, layout).cpu_ms) for _ in range(count)]
    return {
        "cpu_ms_each": round(statistics.median(own for _, own in pairs), 3),
        "cpu_ms_just_begun": round(statistics.median(other for other, _ in pairs), 3),
        "ratio": round(statistics.median(own / other for other, own in pairs), 3),
    }


def _house(place: Place) -> Running:
    ((router_port, router),) = ours.routers(place)
    port, edge = ours.edge(place, [router_port], place.provider, EDGE_CONVERSATIONS=str(2 * max(CONVERSATIONS)))
    return ours.running([port], [edge, router])


def _rows(ledger: Path) -> int:
    with closing(sqlite3.connect(ledger, timeout=30)) as database:
        return int(database.execute("SELECT count(*) FROM decisions").fetchone()[0])


def _copy(ledger: Path, wanted: int) -> None:
    """Decisions of the past, as many as make up the number: copies of those that are there, without their traces."""
    with closing(sqlite3.connect(ledger, timeout=30, isolation_level=None)) as database:
        names = [row[1] for row in database.execute("PRAGMA table_info(decisions)")]
        made_up = {"id": "'dec_' || lower(hex(randomblob(16)))", "trace": "'{}'", "time": "time - 1000000"}
        columns = ", ".join(names)
        values = ", ".join(made_up.get(name, name) for name in names)
        missing = wanted - _rows(ledger)
        while missing > 0:
            take = min(CHUNK, missing)
            database.execute(f"INSERT INTO decisions ({columns}) SELECT {values} FROM decisions LIMIT {take}")  # noqa: S608
            missing -= take
