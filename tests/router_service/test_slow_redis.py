"""How long a router and an edge wait for a Redis that is slow is what their settings say."""

import asyncio
from collections.abc import Iterator

import pytest
import redis

from protos.router.v1 import router_pb2 as pb
from tests.conftest import System, edge_beside
from tests.edge_gateway.test_completion import ask
from tests.faults.fault_proxy import Fault, FaultProxy
from tests.faults.keys import make_key
from tests.processes import NEVER, free_port, start_router
from tests.redis_server import RedisServer
from tests.router_service.calls import select

CODE = {"profile": "auto", "purpose": "PURPOSE_CODE", "conversationId": "one"}


@pytest.fixture(scope="module")
def slow() -> Iterator[str]:
    """The address of a Redis that takes its time for each word."""
    server = RedisServer()
    wire = FaultProxy(server.port)
    # Longer than a word of it may take where the setting says nothing.
    wire.fault = Fault(seconds_a_piece=1.2)
    yield f"redis://127.0.0.1:{wire.port}/0"
    wire.close()
    server.close()


@pytest.mark.parametrize(("seconds", "source"), [("20", pb.DECISION_SOURCE_PINNED), ("0.05", pb.DECISION_SOURCE_LOCAL)])
def test_a_router_finds_a_pin_that_comes_in_its_time_and_decides_without_one_that_does_not(slow, seconds, source):
    port = free_port()
    router = start_router(port, ROUTER_REDIS_URL=slow, ROUTER_REDIS_TIMEOUT_SECONDS=seconds)
    try:
        select(port, **CODE)
        assert select(port, **CODE).source == source
    finally:
        router.stop()


async def cache_status(http, edge: System) -> str:
    _, headers, _ = await ask(http, edge, temperature=0)
    return headers["cache-status"].removeprefix("edge_gateway; ")


async def test_an_edge_finds_a_kept_answer_that_comes_in_its_time_and_asks_without_one_that_does_not(
    http, system: System, portkey, edge_config, slow
):
    settings = {"EDGE_REDIS_URL": slow, "EDGE_CACHE_SECONDS": "600"}
    with edge_beside(system, portkey, edge_config, **settings, EDGE_CACHE_TIMEOUT_SECONDS="20") as edge:
        async with asyncio.timeout(NEVER):
            # It is kept a moment after it was given.
            while await cache_status(http, edge) != "hit":
                pass
    with edge_beside(system, portkey, edge_config, **settings, EDGE_CACHE_TIMEOUT_SECONDS="0.1") as hasty:
        assert await cache_status(http, hasty) == "fwd=miss"


@pytest.mark.parametrize(("seconds", "shared"), [("20", True), ("0.05", False)])
async def test_an_edge_counts_in_a_redis_that_answers_in_its_time_and_by_itself_without_one_that_does_not(
    http, system: System, portkey, edge_config, slow, tmp_path, seconds, shared
):
    file = tmp_path / "keys.toml"
    # An account has the key's name.
    headers = {"authorization": f"Bearer {make_key(file, '--requests-per-minute', '1000')}"}
    settings = {"EDGE_REDIS_URL": slow, "EDGE_API_KEYS_FILE": str(file), "EDGE_REDIS_TIMEOUT_SECONDS": seconds}
    with redis.Redis.from_url(slow) as asked:
        asked.delete("edge:limits:alice")
        with edge_beside(system, portkey, edge_config, **settings) as edge:
            body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
            async with http.post(f"{edge.url}/v1/chat/completions", json=body, headers=headers) as answer:
                assert answer.status == 200
        assert bool(asked.exists("edge:limits:alice")) is shared
