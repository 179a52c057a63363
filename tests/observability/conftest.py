"""Both services with their metrics on, around the fake provider."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REMEMBERING_NOTHING, System
from tests.fakes.provider import FakeProvider
from tests.processes import free_port, start_edge, start_router


@dataclass
class Watched:
    """A running system, and where its services show their metrics."""

    system: System
    edge: int
    router: int


def watched_edge(router: int, config: Path, portkey: int, **env: str) -> tuple[str, int, object]:
    """An edge with its metrics on: its address, where these are, and its process."""
    port, metrics = free_port(), free_port()
    process = start_edge(
        port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{router}",
        EDGE_CONFIG=str(config),
        PORTKEY_BASE_URL=f"http://127.0.0.1:{portkey}/v1",
        EDGE_METRICS_LISTEN=f"127.0.0.1:{metrics}",
        **{**REMEMBERING_NOTHING, **env},
    )
    return f"http://127.0.0.1:{port}", metrics, process


@pytest.fixture(scope="session")
def watched_services(provider: FakeProvider, portkey: int, edge_config: Path, router_config: Path) -> Iterator[Watched]:
    port, metrics = free_port(), free_port()
    router = start_router(port, ROUTER_CONFIG=str(router_config), ROUTER_METRICS_LISTEN=f"127.0.0.1:{metrics}")
    url, edge_metrics, edge = watched_edge(port, edge_config, portkey, EDGE_CIRCUIT_FAILURES="3")
    yield Watched(System(url, port, provider, router, edge), edge_metrics, metrics)
    edge.stop()
    router.stop()


@pytest.fixture
def watched(watched_services: Watched) -> Watched:
    """The services, with the provider's script and memory emptied."""
    watched_services.system.provider.reset()
    return watched_services
