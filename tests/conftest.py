"""Fixtures: the real services with the real open-source Portkey gateway, around a fake provider."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import hypothesis
import pytest

from tests.fakes.provider import FakeProvider
from tests.processes import Process, free_port, start_edge, start_portkey, start_router

# How long an example takes, and how long it takes to think of some, says more of the machine than of what is tested.
PATIENT = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("patient", PATIENT)
hypothesis.settings.load_profile("patient")

ROUTER_CONFIG = """
[[models]]
id = "fake/first"
context_tokens = 900000
max_output_tokens = 16000
input_usd_per_mtok = 1
output_usd_per_mtok = 2
vision = true
tools = true
json = true
source = "made up"
checked = "2026-11-23"
prior = "gpt-5 (high)"
prior_kind = "inherited"

[[models]]
id = "fake/second"
context_tokens = 900000
max_output_tokens = 16000
input_usd_per_mtok = 1
output_usd_per_mtok = 2
vision = true
tools = true
json = true
source = "made up"
checked = "2026-11-23"
prior = "gpt-4.1"
prior_kind = "inherited"

[[models]]
id = "gone/away"
context_tokens = 900000
max_output_tokens = 16000
input_usd_per_mtok = 1
output_usd_per_mtok = 2
vision = true
tools = true
json = true
source = "made up"
checked = "2026-11-23"
prior = "gpt-5 (medium)"
prior_kind = "inherited"

[profiles.auto]
candidates = ["fake/*"]
cost_quality_tradeoff = 0

[profiles.auto-weak]
candidates = ["fake/second"]
cost_quality_tradeoff = 10
not_diamond = false

[profiles.auto-editor]
candidates = ["fake/*"]
cost_quality_tradeoff = 0

[profiles.refusing]
description = "Its best model's server is not there."
candidates = ["gone/away", "fake/second"]
cost_quality_tradeoff = 0
"""

EDGE_CONFIG = """
[providers.fake]
slug = "openai"
base_url = "{provider}"
verbatim = true

[providers.gone]
slug = "openai"
base_url = "http://127.0.0.1:{nobody}/v1"
verbatim = true

[default_order]
auto = ["fake/second", "fake/first"]
"""

# For tests that ask the same of failing models again and again: nothing of one shall show in the next.
REMEMBERING_NOTHING = {"EDGE_CACHE_SECONDS": "0", "EDGE_CIRCUIT_FAILURES": "0", "EDGE_RETRY_SHARE": "10"}


@dataclass
class System:
    """The running services and the fake provider behind them."""

    url: str
    router_port: int
    provider: FakeProvider
    router: Process
    edge: Process


@contextmanager
def router_beside(system: System, *configs: Path, **env: str) -> Iterator[System]:
    """A router of its own, with these configurations, in place of the system's."""
    port = free_port()
    router = start_router(port, ROUTER_CONFIG=":".join(map(str, configs)), **env)
    try:
        yield replace(system, router_port=port, router=router)
    finally:
        router.stop()


@contextmanager
def edge_beside(system: System, portkey: int, config: Path, **env: str) -> Iterator[System]:
    """An edge of its own before the system's router; it remembers nothing unless `env` says otherwise."""
    port = free_port()
    usual = {
        "EDGE_ROUTER": f"dns:///127.0.0.1:{system.router_port}",
        "EDGE_CONFIG": str(config),
        "PORTKEY_BASE_URL": f"http://127.0.0.1:{portkey}/v1",
        **REMEMBERING_NOTHING,
    }
    edge = start_edge(port, **{**usual, **env})
    try:
        yield replace(system, url=f"http://127.0.0.1:{port}", edge=edge)
    finally:
        edge.stop()


@pytest.fixture(scope="session")
def provider() -> Iterator[FakeProvider]:
    fake = FakeProvider()
    yield fake
    fake.close()


@pytest.fixture(scope="session")
def portkey() -> Iterator[int]:
    port = free_port()
    process = start_portkey(port)
    yield port
    process.stop()


@pytest.fixture(scope="session")
def edge_config(tmp_path_factory: pytest.TempPathFactory, provider: FakeProvider) -> Path:
    path = tmp_path_factory.mktemp("edge") / "edge.toml"
    path.write_text(EDGE_CONFIG.format(provider=provider.url, nobody=free_port()))
    return path


@pytest.fixture(scope="session")
def router_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("router") / "router.toml"
    path.write_text(ROUTER_CONFIG)
    return path


# Seconds that a hasty edge gives a model: for tests of what happens then, and no others. A machine may be slow for as long.
HASTE = 3.0
HASTY = {
    "EDGE_FIRST_BYTE_TIMEOUT_SECONDS": str(HASTE),
    "EDGE_FIRST_TOKEN_TIMEOUT_SECONDS": str(HASTE),
    "EDGE_IDLE_TIMEOUT_SECONDS": str(HASTE),
}


@pytest.fixture(scope="session")
def running(provider: FakeProvider, portkey: int, edge_config: Path, router_config: Path) -> Iterator[System]:
    router_port, edge_port = free_port(), free_port()
    router = start_router(router_port, ROUTER_CONFIG=str(router_config))
    edge = start_edge(
        edge_port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{router_port}",
        EDGE_CONFIG=str(edge_config),
        PORTKEY_BASE_URL=f"http://127.0.0.1:{portkey}/v1",
        **REMEMBERING_NOTHING,
    )
    yield System(f"http://127.0.0.1:{edge_port}", router_port, provider, router, edge)
    edge.stop()
    router.stop()


@pytest.fixture
def system(running: System) -> System:
    """The session's services, with the provider's script and memory emptied."""
    running.provider.reset()
    return running


@pytest.fixture(scope="session")
def hurrying(running: System, portkey: int, edge_config: Path) -> Iterator[System]:
    with edge_beside(running, portkey, edge_config, **HASTY) as edge:
        yield edge


@pytest.fixture
def hasty(system: System, hurrying: System) -> System:
    """The session's services behind an edge that gives models little time; `system` has emptied what they share."""
    return hurrying


@pytest.fixture
async def http() -> aiohttp.ClientSession:
    async with aiohttp.ClientSession() as session:
        yield session
