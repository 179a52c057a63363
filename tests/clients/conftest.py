"""Fixtures: the real services and the real Portkey gateway, before a provider that speaks three providers' forms."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest

from tests.conftest import REMEMBERING_NOTHING
from tests.fakes.provider import FakeProvider
from tests.processes import Process, free_port, start_edge, start_router

ROUTER_CONFIG = """
[profiles.claude]
candidates = ["anthropic/claude-sonnet-5-5", "fake/second"]
cost_quality_tradeoff = 0

[profiles.gemini]
candidates = ["google/gemini-4-argon"]
cost_quality_tradeoff = 0
"""

EDGE_CONFIG = """
[providers.fake]
slug = "openai"
base_url = "{provider}"
verbatim = true
forms = ["chat", "responses", "completions", "embeddings"]

[providers.anthropic]
base_url = "{provider}"

[providers.google]
base_url = "{provider}"
"""

# The names by which the provider is asked, for its script.
CLAUDE, GEMINI = "claude-sonnet-5-5", "gemini-4-argon"


@dataclass
class Gateway:
    """Where clients ask, and the provider behind it."""

    url: str
    provider: FakeProvider
    edge: Process

    @property
    def base_url(self) -> str:
        """As OpenAI's clients take it."""
        return f"{self.url}/v1"


@pytest.fixture(scope="module")
def running_gateway(
    provider: FakeProvider, portkey: int, router_config: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """One for each module: a router passes over providers that it has heard fail, so one module's failures stay its own."""
    folder = tmp_path_factory.mktemp("clients")
    (folder / "router.toml").write_text(ROUTER_CONFIG)
    (folder / "edge.toml").write_text(EDGE_CONFIG.format(provider=provider.url))
    router_port, edge_port = free_port(), free_port()
    router = start_router(router_port, ROUTER_CONFIG=f"{router_config}:{folder / 'router.toml'}")
    edge = start_edge(
        edge_port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{router_port}",
        EDGE_CONFIG=str(folder / "edge.toml"),
        PORTKEY_BASE_URL=f"http://127.0.0.1:{portkey}/v1",
        ANTHROPIC_API_KEY="k-anthropic",
        GEMINI_API_KEY="k-gemini",
        **REMEMBERING_NOTHING,
    )
    yield Gateway(f"http://127.0.0.1:{edge_port}", provider, edge)
    edge.stop()
    router.stop()


@pytest.fixture
def gateway(running_gateway: Gateway) -> Gateway:
    """The module's system, with the provider's script and memory emptied."""
    running_gateway.provider.reset()
    return running_gateway


@pytest.fixture
def gpt(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """OpenAI's own client, which tells of the first failure instead of trying again."""
    with openai.OpenAI(api_key="k", base_url=gateway.base_url, max_retries=0) as client:
        yield client
