"""A running edge and router with the stub in Portkey's place, and the processes that put load on them."""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

from bench.load.machine import Watch, held
from tests.conftest import EDGE_CONFIG, ROUTER_CONFIG
from tests.processes import (
    SHIPPED_EDGE,
    SHIPPED_ROUTER,
    Process,
    free_port,
    http_ok,
    start_edge,
    start_router,
    wait_until,
)

# One request may be 15 MB, which no real model takes.
LARGE_CONTEXT = ROUTER_CONFIG.replace("context_tokens = 900000", "context_tokens = 90000000")


@dataclass
class House:
    """What runs; `routers`: the first is the one that may be restarted."""

    port: int
    upstream_port: int
    edge: Process
    routers: list[Process]
    router_ports: list[int]
    upstream: Process
    generators: Pool
    folder: Path

    @property
    def pids(self) -> dict[str, int]:
        """The processes by name."""
        named = {"edge": self.edge.popen.pid, "upstream": self.upstream.popen.pid}
        for number, router in enumerate(self.routers):
            named[f"router{number or ''}"] = router.popen.pid
        return named

    def watch(self) -> Watch:
        """Watches them and the machine for as long as it is open."""
        return Watch(self.pids)

    def counts(self) -> dict[str, Any]:
        """What the stub has counted."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.upstream_port}/counts", timeout=10) as answer:
            told: dict[str, Any] = json.loads(answer.read())
            return told

    def edge_holds(self) -> dict[str, float]:
        """What the edge holds."""
        return held(self.edge.popen.pid)


def start_upstream(port: int) -> Process:
    """The stub."""
    process = Process([sys.executable, "-m", "bench.load.upstream", str(port)], {}, "upstream")
    return process.ready_when(lambda: http_ok(f"http://127.0.0.1:{port}/counts"))


def configurations(folder: Path, provider: str) -> tuple[Path, Path]:
    """Files for the router and the edge: two models, both behind this address."""
    router, edge = folder / "router.toml", folder / "edge.toml"
    router.write_text(LARGE_CONTEXT)
    edge.write_text(EDGE_CONFIG.format(provider=provider, nobody=free_port()))
    return router, edge


@contextmanager
def house(generators: int = 2, routers: int = 1, portkey: int = 0, **edge_env: str) -> Iterator[House]:
    """Start them all, and stop them again whatever happens.

    `portkey`: the port of a real gateway, which then asks the stub as its provider; 0: the stub itself is in its place.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(generators))
        upstream_port, port = free_port(), free_port()
        upstream = start_upstream(upstream_port)
        stack.callback(upstream.stop)
        address = f"http://127.0.0.1:{upstream_port}/v1"
        router_file, edge_file = configurations(folder, address)
        ports = [free_port() for _ in range(routers)]
        started: list[Process] = []
        # Those that stand there at the end: the first may have been started again.
        stack.callback(lambda: [process.stop() for process in started])
        for one in ports:
            started.append(start_router_here(one, router_file, folder))
        edge = start_edge(
            port,
            EDGE_ROUTER="ipv4:" + ",".join(f"127.0.0.1:{one}" for one in ports),
            EDGE_CONFIG=str(edge_file),
            PORTKEY_BASE_URL=f"http://127.0.0.1:{portkey}/v1" if portkey else address,
            # As shipped; the tests' edges are more patient.
            **{**SHIPPED_EDGE, **edge_env},
        )
        stack.callback(edge.stop)
        yield House(port, upstream_port, edge, started, ports, upstream, pool, folder)


def start_router_here(port: int, config: Path, folder: Path) -> Process:
    """A router with a ledger file of its own, as it has one by default."""
    ledger = f"sqlite:///{folder}/router-{port}.sqlite"
    return start_router(port, ROUTER_CONFIG=str(config), ROUTER_LEDGER_URL=ledger, **SHIPPED_ROUTER)


def idle(house: House, seconds: float = 20.0) -> None:
    """Wait until nothing is under way at the stub."""
    wait_until(lambda: house.counts()["open"] == 0, "all answers over", seconds)
