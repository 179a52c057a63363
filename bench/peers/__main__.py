"""Measures the peers and prints the table: `python -m bench.peers [PEER ...] [--loads c16,burst]`.

ROUNDS=5 rounds, medians of them; SCALE=0.5 takes half the time of each run. Writes bench/results/peers.json and its pictures;
what is not whole is written to bench/results/local/. `router`, `growth`, `features`, `held` and `pace` are names
too: of the parts that have no peers.
`--page` measures nothing and prints the written result as docs/explanation/measured.md has it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

from bench.load.machine import about
from bench.peers import features, growth, held, pace, placement, report, rounds, router_rates, table
from bench.peers.lineup import PEERS
from bench.peers.loads import LOADS, UNPINNED, Load, named
from bench.peers.native import NoCompiler, built
from bench.peers.peer import Peer
from bench.peers.placement import FREE, Layout

ROUNDS = 5
PARTS = ("router", "growth", "features", "held", "pace")


@dataclass
class Wish:
    """What is to be measured."""

    peers: list[Peer]
    loads: list[Load]
    parts: list[str]
    rounds: int
    scale: float
    whole: bool
    page: bool


def wish() -> Wish:
    """From the command line and the environment."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers")
    names = [peer.name for peer in PEERS]
    parser.add_argument("names", nargs="*", choices=[[], *names, *PARTS], help="peers or parts; all when none is named")
    parser.add_argument("--loads", default="", help=f"of {', '.join(load.name for load in LOADS)}")
    parser.add_argument("--page", action="store_true", help="print the written result as a page has it")
    given = parser.parse_args()
    chosen = [name for name in given.loads.split(",") if name]
    try:
        loads = named(chosen)
    except KeyError as error:
        parser.error(f"there is no load {error}")
    scale = float(os.environ.get("SCALE") or 1)
    wanted = given.names or [*names, *PARTS]
    return Wish(
        # Without it there is nothing to compare with.
        [peer for peer in PEERS if peer.name in wanted or (peer.name == "direct" and set(wanted) & set(names))],
        [replace(load, seconds=load.seconds * scale) for load in loads],
        [part for part in PARTS if part in wanted],
        int(os.environ.get("ROUNDS") or ROUNDS),
        scale,
        not given.names and not chosen and scale >= 1,
        given.page,
    )


def main() -> int:
    """Measure, print and write; 1 where that cannot be done."""
    wanted = wish()
    if wanted.page:
        report.show(report.read(), table.markdown)
        return 0
    # What was started is stopped again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if sys.platform != "linux":
        sys.stderr.write("CPU times, cores and the load generators are Linux's; measure there.\n")
        return 1
    try:
        for name in ("mock", "load", "rpc"):
            built(name)
    except NoCompiler as error:
        sys.stderr.write(f"The mock and the load generators are written in C: {error}.\n")
        return 1
    began = time.monotonic()
    found = measured(wanted)
    found["minutes"] = round((time.monotonic() - began) / 60, 1)
    report.show(found)
    report.write(found, whole=wanted.whole and wanted.rounds >= ROUNDS)
    return 0


def measured(wanted: Wish) -> dict[str, Any]:
    """All parts that are wanted, one after another."""
    layout, cores = placement.pinned(), os.sched_getaffinity(0)
    found: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "rounds": wanted.rounds}
    if layout.load:
        os.sched_setaffinity(0, layout.load)  # the bench itself is no load on what it measures
    if wanted.peers:
        found["pinned"] = compared(wanted, wanted.loads, layout)
    os.sched_setaffinity(0, cores)
    if loads := [load for load in wanted.loads if load.name in UNPINNED] if wanted.peers else []:
        found["free"] = compared(wanted, loads, FREE)
    if "router" in wanted.parts:
        found["router"] = router_rates.measure(wanted.rounds, wanted.scale)
    if "growth" in wanted.parts:
        found["growth"] = growth.measure(wanted.rounds, wanted.scale)
    if "features" in wanted.parts:
        found["features"] = features.measure(wanted.rounds, wanted.scale, layout)
    if "held" in wanted.parts:
        found["held"] = held.measure(wanted.rounds, wanted.scale, layout)
    if "pace" in wanted.parts:
        found["pace"] = pace.measure(wanted.rounds, wanted.scale, layout)
    found["machine"]["load_after"] = [round(one, 2) for one in os.getloadavg()]
    return found


def compared(wanted: Wish, loads: list[Load], layout: Layout) -> dict[str, Any]:
    """All peers under these loads."""
    with rounds.seated(wanted.peers, layout) as seats:
        rounds.measure(seats, loads, wanted.rounds, layout)
        return {
            "cores": {"tested": sorted(layout.tested or []), "load": sorted(layout.load or [])},
            "peers": {
                seat.peer.name: {
                    "title": seat.peer.title,
                    "version": seat.running.version,
                    "start_s": seat.start_s,
                    "idle_rss_mb": seat.idle_rss_mb,
                }
                for seat in seats.seats
            },
            "figures": rounds.figures(seats),
            "wrong": {seat.peer.name: seat.wrong for seat in seats.seats if seat.wrong},
            "absent": seats.absent,
        }


def machine() -> dict[str, Any]:
    """What it is, and how busy it was before."""
    return {**about(), "load_before": [round(one, 2) for one in os.getloadavg()]}


if __name__ == "__main__":
    sys.exit(main())
