"""Fixtures: one house with tracing on for all tests here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import System
from tests.traces.house import TracedHouse, traced_house


@pytest.fixture(scope="session")
def traced(running: System, portkey: int, edge_config: Path, router_config: Path) -> Iterator[TracedHouse]:
    with traced_house(running, portkey, edge_config, router_config) as house:
        yield house


@pytest.fixture
def house(traced: TracedHouse) -> TracedHouse:
    """The same, with the provider's script and memory emptied."""
    traced.system.provider.reset()
    return traced
