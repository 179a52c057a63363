"""Fixtures: an edge that asks for keys, and a second provider that nothing is configured to reach."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_gateway.access.entries import digest
from tests.conftest import System, edge_beside
from tests.fakes.provider import FakeProvider

KEY = "amr-" + "k" * 43


@dataclass
class Guarded:
    """An edge that lets in who holds `key`."""

    system: System
    key: str = KEY

    @property
    def url(self) -> str:
        return self.system.url


@pytest.fixture(scope="session")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    path.write_text(f'[keys.alice]\nsha256 = "{digest(KEY)}"\n')
    return path


@pytest.fixture(scope="module")
def guarded_edge(running: System, portkey: int, edge_config: Path, keys_file: Path) -> Iterator[Guarded]:
    with edge_beside(running, portkey, edge_config, EDGE_API_KEYS_FILE=str(keys_file)) as system:
        yield Guarded(system)


@pytest.fixture
def guarded(guarded_edge: Guarded) -> Guarded:
    """The module's edge, with the provider's script and memory emptied."""
    guarded_edge.system.provider.reset()
    return guarded_edge


@pytest.fixture
def elsewhere() -> Iterator[FakeProvider]:
    """A server of an attacker's; whatever arrives there was led astray."""
    fake = FakeProvider()
    yield fake
    fake.close()
