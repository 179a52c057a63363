"""Fixtures: both clients, and a real router to ask."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tests.processes import free_port, start_router
from tests.router_client.both import BOTH


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a real router."""
    port = free_port()
    process = start_router(port)
    yield f"127.0.0.1:{port}"
    process.stop()


@pytest.fixture(params=list(BOTH))
def client(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """One client and the other, each to be made with Router's arguments."""
    return BOTH[request.param]


@pytest.fixture
async def router(client: Callable[..., Any], address: str) -> AsyncIterator[Any]:
    async with client(address) as opened:
        yield opened
