"""The system as a newcomer has it: no key, so the scripted demo models answer, through the real Portkey gateway."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.end_to_end.aider_runs import finished, repository
from tests.processes import Process, at_rest, free_port, http_ok, python, start_edge, start_router

__all__ = ["repository"]


@dataclass
class Demo:
    """The running demo system."""

    url: str
    edge: Process
    _told: int = 0

    def completions(self) -> list[dict]:
        """The completions since the last look."""
        at_rest(self.url.removesuffix("/v1"))
        entries = finished(self.edge.text())
        fresh, self._told = entries[self._told :], len(entries)
        return fresh


@pytest.fixture(scope="session")
def running_demo(portkey: int) -> Iterator[Demo]:
    demo_port, router_port, edge_port = free_port(), free_port(), free_port()
    demo = python("demo", {"DEMO_LISTEN": f"127.0.0.1:{demo_port}", "DEMO_PACE": "0"})
    demo.ready_when(lambda: http_ok(f"http://127.0.0.1:{demo_port}/healthz"))
    router = start_router(router_port)
    edge = start_edge(
        edge_port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{router_port}",
        EDGE_DEMO_URL=f"http://127.0.0.1:{demo_port}/v1",
        PORTKEY_BASE_URL=f"http://127.0.0.1:{portkey}/v1",
    )
    yield Demo(f"http://127.0.0.1:{edge_port}/v1", edge)
    for process in (edge, router, demo):
        process.stop()


@pytest.fixture
def demo(running_demo: Demo) -> Demo:
    """The session's demo system, its past completions forgotten."""
    running_demo.completions()
    return running_demo
