"""What each feature costs: CPU a request as shipped, and with one after another switched off, in turns on the same core.

What has no switch is not here: purpose, conversation and outcome are what this exists for.
"""

from __future__ import annotations

import statistics
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import tomlkit

from bench.peers import ours, rounds
from bench.peers.loads import named
from bench.peers.peer import Peer, Place, Running
from bench.peers.placement import Layout
from bench.peers.rounds import Seat
from tests.processes import ROOT

LOAD = replace(named(["c16"])[0], seconds=1.5)
SHIPPED = "as shipped"
# What is set at the edge, and what in the router.
WITHOUT: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    SHIPPED: ({}, {}),
    "client keys": ({"EDGE_API_KEYS_FILE": ""}, {}),
    "answers kept for retries": ({"EDGE_CACHE_SECONDS": "0"}, {}),
    "circuits": ({"EDGE_CIRCUIT_FAILURES": "0"}, {}),
    "prompts shown to the router": ({"EDGE_ROUTING_CHARACTERS": "0"}, {}),
    "a ledger on disk": ({}, {"ROUTER_LEDGER_URL": "memory:"}),
    "learning": ({}, {"ROUTER_CONFIG": "learning-off.toml"}),
}


def measure(count: int, scale: float, layout: Layout) -> list[dict[str, Any]]:
    """Medians over the rounds of what each costs: of a round's CPU as shipped the CPU without it is taken."""
    peers = [Peer(name.replace(" ", "-"), name, partial(_house, without=name)) for name in WITHOUT]
    with rounds.seated(peers, layout) as present:
        rounds.measure(present, [replace(LOAD, seconds=LOAD.seconds * scale)], count, layout)
        spent = {seat.peer.title: _cpu_ms(seat) for seat in present.seats}
        wrong = {seat.peer.title: said for seat in present.seats for said in seat.wrong.values()}
        wrong |= {peer.title: present.absent[peer.name] for peer in peers if peer.name in present.absent}
    rows = []
    for name in WITHOUT:
        row: dict[str, Any] = {"without": "(nothing)" if name == SHIPPED else name}
        without = spent.get(name, [])
        pairs = list(zip(spent.get(SHIPPED, []), without, strict=False))
        if name in wrong or not pairs:
            row["not counted"] = wrong.get(name, "no round")
        else:
            row["cpu_ms_each"] = round(statistics.median(without), 3)
            row["its_own_cpu_ms"] = round(statistics.median(shipped - own for shipped, own in pairs), 3)
        rows.append(row)
    return rows


def _cpu_ms(seat: Seat) -> list[float]:
    return [sample.cpu_ms for sample in seat.samples.get(LOAD.name, [])]


def _house(place: Place, without: str) -> Running:
    edge_set, router_set = WITHOUT[without]
    if config := router_set.get("ROUTER_CONFIG"):
        (place.folder / config).write_text(_without_learning())
        router_set = {**router_set, "ROUTER_CONFIG": str(place.folder / config)}
    ((router_port, router),) = ours.routers(place, **router_set)
    port, edge = ours.edge(place, [router_port], place.provider, **edge_set)
    return ours.running([port], [edge, router])


def _without_learning() -> str:
    """The shipped profile, but for that."""
    shipped = tomllib.loads((ROOT / "router_service" / "router.toml").read_text())["profiles"]["auto"]
    return tomlkit.dumps({"profiles": {"auto": {**shipped, "learning": {"mode": "off"}}}})
