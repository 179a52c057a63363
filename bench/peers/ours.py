"""This project: an edge and a router with keys, understanding, decision, ledger, metrics and logs on, as shipped."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import partial

from bench.peers import portkey
from bench.peers.bodies import CONVERSATION
from bench.peers.peer import Peer, Place, Running
from edge_gateway.access.entries import digest
from tests.processes import ROOT, SHIPPED_EDGE, SHIPPED_ROUTER, Process, free_port, start_edge, start_router

KEY = "amr-" + "bench" * 8
KEYS = f"""
[keys.bench]
sha256 = "{digest(KEY)}"
models = ["auto*"]
"""
# What the services say when something that was to be kept is not: a run in which that happens is none.
LOST = ("ledger_full", "ledger_lost", "report_dropped")


def providers() -> Mapping[str, str]:
    """The shipped providers that speak OpenAI's form, and the variables of their keys; the mock is all of them."""
    shipped = tomllib.loads((ROOT / "edge_gateway" / "edge.toml").read_text())["providers"]
    return {name: entry["key"] for name, entry in shipped.items() if entry.get("verbatim") and entry.get("key")}


def routers(place: Place, count: int = 1, **set_to: str) -> list[tuple[int, Process]]:
    """Routers and their ports, each with a SQLite ledger of its own and the shipped catalogue; no Not Diamond."""
    started = []
    for _ in range(count):
        port = free_port()
        shipped = {"ROUTER_LEDGER_URL": f"sqlite:///{place.folder}/router-{port}.sqlite"}
        shipped["ROUTER_METRICS_LISTEN"] = f"127.0.0.1:{free_port()}"
        started.append((port, place.keep(start_router(port, **{**SHIPPED_ROUTER, **shipped, **set_to}))))
    return started


def edge(place: Place, router_ports: Sequence[int], upstream: str, **set_to: str) -> tuple[int, Process]:
    """An edge that asks these routers and sends to this address in Portkey's place, and its port."""
    keys, config = place.folder / "keys.toml", place.folder / "edge.toml"
    keys.write_text(KEYS)
    config.write_text("".join(f'[providers.{name}]\nbase_url = "{place.provider}"\n' for name in providers()))
    port = free_port()
    shipped = {
        "EDGE_ROUTER": "ipv4:" + ",".join(f"127.0.0.1:{one}" for one in router_ports),
        "EDGE_CONFIG": str(config),
        "EDGE_API_KEYS_FILE": str(keys),
        "PORTKEY_BASE_URL": upstream,
        "EDGE_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
        # Nothing is shed: what is measured is the cost of serving.
        "EDGE_MAX_LAG_SECONDS": "60",
        **dict.fromkeys(providers().values(), "bench"),
    }
    return port, place.keep(start_edge(port, **{**SHIPPED_EDGE, **shipped, **set_to}))


def running(ports: Sequence[int], processes: Sequence[Process], goes_on: bool = False) -> Running:
    """How it is asked."""
    headers = {"Authorization": f"Bearer {KEY}"}
    if goes_on:
        headers["x-session-id"] = f"bench-{CONVERSATION}"
    source = "pinned" if goes_on else "local"
    return Running(
        _version(),
        ports,
        [process.popen.pid for process in processes],
        model="auto",
        headers=headers,
        goes_on=goes_on,
        expects={"x-router-source": source},
        lost=lambda: _lost(processes),
    )


def _lost(processes: Sequence[Process]) -> str:
    texts = [process.text() for process in processes]
    told = {name for text in texts for name in LOST if f'"event":"{name}"' in text}
    return f"not everything was kept: {', '.join(sorted(told))}" if told else ""


def start(place: Place, goes_on: bool = False, real_portkey: bool = False) -> Running:
    """One edge, one router; the mock in Portkey's place, or a real gateway of one worker before it."""
    upstream, processes = place.provider, []
    if real_portkey:
        port, gateway = portkey.gateway(place)
        upstream = f"http://127.0.0.1:{port}/v1"
        processes.append(gateway)
    (router_port, router), *_ = routers(place)
    port, served = edge(place, [router_port], upstream)
    return running([port], [served, router, *processes], goes_on)


def _version() -> str:
    for line in (ROOT / "pyproject.toml").read_text().splitlines():
        if line.startswith("version = "):
            return line.split('"')[1]
    return "?"


PEERS = (
    Peer("fresh", "this, each request a new conversation", start),
    Peer("leased", "this, conversations that go on", partial(start, goes_on=True)),
    Peer("ours-portkey", "this → Portkey", partial(start, real_portkey=True)),
)
