"""The same request of the same caller is answered again without asking anybody: whole answers, and none that fared badly."""

import asyncio
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import aiohttp
import pytest

from edge_gateway.cache import MemoryStore
from tests.conftest import System, edge_beside, router_beside
from tests.edge_gateway.aider_process import AiderProcess, edit
from tests.fakes import provider as fake
from tests.processes import NEVER, log_events, wait_until
from tests.redis_server import RedisServer

BODY = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}


class House:
    """An edge with a cache, a client of it with a key of its own, and what was asked of the provider behind it."""

    def __init__(self, system: System) -> None:
        self.key = {"authorization": f"Bearer {uuid.uuid4().hex}"}
        self.system = system
        self.address = f"{system.url}/v1"
        self.edge = system.edge

    async def ask(self, http: aiohttp.ClientSession, headers: dict | None = None, **body):
        sent = {**BODY, **body}
        headers = {**self.key, **(headers or {})}
        async with http.post(f"{self.address}/chat/completions", json=sent, headers=headers) as answer:
            return answer.status, answer.headers, await answer.read()

    def asked(self) -> int:
        return len(self.system.provider.seen)


@contextmanager
def started(running: System, portkey: int, edge_config, router_config, **env: str) -> Iterator[System]:
    settings = {"EDGE_CACHE_SECONDS": "300", "EDGE_IDLE_TIMEOUT_SECONDS": "2", **env}
    with router_beside(running, router_config) as routed, edge_beside(routed, portkey, edge_config, **settings) as edge:
        yield edge


@pytest.fixture(scope="module")
def caching(running: System, portkey: int, edge_config, router_config) -> Iterator[System]:
    with started(running, portkey, edge_config, router_config) as edge:
        yield edge


@pytest.fixture
def house(system: System, caching: System) -> House:
    return House(caching)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_retry_is_answered_again_without_asking_a_provider(http, house, stream):
    status, first, body = await house.ask(http, stream=stream)
    assert (status, first["cache-status"]) == (200, "edge_gateway; fwd=miss")
    headers = {"x-stainless-retry-count": "1"}
    status, again, repeated = await house.ask(http, headers, stream=stream)
    assert (status, repeated) == (200, body)
    assert again["cache-status"] == "edge_gateway; hit"
    assert int(again["age"]) >= 0
    assert again["content-type"].split(";")[0] == first["content-type"].split(";")[0]
    for name in ("x-router-decision-id", "x-served-model", "x-router-reason", "x-router-conversation-id"):
        assert again[name] == first[name]
    assert again["x-request-id"] != first["x-request-id"]
    assert house.asked() == 1
    told = log_events(house.edge, "answered_again")
    assert [entry["decision_id"] for entry in told].count(first["x-router-decision-id"]) == 1


async def test_nobody_is_given_an_answer_of_another_caller(http, house):
    for key in ("alice", "bob"):
        _, headers, _ = await house.ask(http, {"authorization": f"Bearer {key}"})
        assert headers["cache-status"] == "edge_gateway; fwd=miss"
    assert house.asked() == 2


async def test_a_request_that_differs_in_one_byte_is_another(http, house):
    await house.ask(http)
    await house.ask(http, seed=1)
    await house.ask(http, stream=True)
    assert house.asked() == 3


async def test_a_request_for_another_version_of_the_api_is_another(http, house):
    for headers in ({}, {"anthropic-beta": "context-1m"}, {"anthropic-version": "2023-06-01"}):
        _, told, _ = await house.ask(http, headers)
        assert told["cache-status"] == "edge_gateway; fwd=miss"
    _, told, _ = await house.ask(http, {"anthropic-beta": "context-1m"})
    assert told["cache-status"] == "edge_gateway; hit"


async def test_a_request_that_does_not_want_the_same_again_is_never_answered_from_the_cache(http, house):
    for _ in range(2):
        _, headers, _ = await house.ask(http, temperature=0.7)
        assert "cache-status" not in headers
    assert house.asked() == 2


async def test_a_client_can_have_a_fresh_answer_or_none_kept(http, house):
    await house.ask(http)
    _, headers, _ = await house.ask(http, {"cache-control": "no-cache"})
    assert headers["cache-status"] == "edge_gateway; fwd=request"
    await house.ask(http, {"cache-control": "no-store"}, seed=5)
    await house.ask(http, seed=5)
    assert house.asked() == 4


@pytest.mark.parametrize(
    ("stream", "bad"),
    [
        (False, fake.refuse(400)),
        (False, fake.page(200)),
        (True, fake.cut_after(1, abort=False)),
        (True, fake.cut_after(2, abort=True)),
    ],
)
async def test_an_error_or_a_cut_answer_is_never_given_again(http, house, stream, bad):
    house.system.provider.script |= {"first": bad, "second": bad}
    await house.ask(http, stream=stream)
    house.system.provider.script.clear()
    status, headers, body = await house.ask(http, stream=stream)
    assert (status, headers["cache-status"]) == (200, "edge_gateway; fwd=miss")
    assert body == (b"".join(fake.EVENTS) if stream else fake.PLAIN)


async def test_an_answer_without_its_last_event_is_relayed_and_not_given_again(http, house):
    """The reply is whole, but its token count and its end are missing."""
    house.system.provider.script["first"] = fake.cut_after(3, abort=False)
    status, _, body = await house.ask(http, stream=True)
    assert (status, body) == (200, b"".join(fake.EVENTS[:3]))
    house.system.provider.script.clear()
    _, headers, _ = await house.ask(http, stream=True)
    assert headers["cache-status"] == "edge_gateway; fwd=miss"


async def test_an_answer_whose_client_left_early_is_not_kept(http, house):
    async def slow(request, body):
        response = await fake.stream(request, fake.EVENTS[:1])
        await asyncio.Event().wait()
        return response

    house.system.provider.script["first"] = slow
    url, body = f"{house.address}/chat/completions", {**BODY, "stream": True}
    async with http.post(url, json=body, headers=house.key) as answer:
        assert await answer.content.readany()
    house.system.provider.script.clear()
    _, headers, _ = await house.ask(http, stream=True)
    assert headers["cache-status"] == "edge_gateway; fwd=miss"


async def test_a_reply_that_is_heard_to_have_failed_is_not_given_again(http, house):
    """Aider's next request shows that the edit did not match; whoever asks the first anew gets a new answer."""
    aider = AiderProcess(http, house.system)
    first_request, reply = aider.request("type it"), edit("def nothing", "def x")
    first = await aider.ask("type it", reply)
    told = await aider.ask("# 1 SEARCH/REPLACE block failed to match!\n\nno match in calc.py\n", reply)
    assert told.outcome == "edit_failed"
    await first.reported("edit_failed")
    anew = await aider.send(first_request, reply, "auto", stream=True, temperature=0)
    assert anew.headers["cache-status"] == "edge_gateway; fwd=miss"
    assert anew.decision != first.decision


async def test_what_is_asked_again_belongs_to_the_same_conversation_afterwards(http, house):
    _, first, _ = await house.ask(http)
    _, again, _ = await house.ask(http, {"x-stainless-retry-count": "1"})
    assert again["cache-status"] == "edge_gateway; hit"
    talk = [*BODY["messages"], {"role": "assistant", "content": "hi"}, {"role": "user", "content": "and then?"}]
    _, later, _ = await house.ask(http, messages=talk)
    assert later["x-router-conversation-id"] == first["x-router-conversation-id"]


@pytest.fixture
def small(system: System, portkey: int, edge_config, router_config) -> Iterator[House]:
    settings = {"EDGE_CACHE_ANSWER_BYTES": "300", "EDGE_CACHE_SECONDS": "2"}
    with started(system, portkey, edge_config, router_config, **settings) as edge:
        yield House(edge)


async def test_a_large_answer_is_not_kept_and_a_small_one_only_for_its_time(http, small):
    for _ in range(2):
        await small.ask(http, stream=True)
    assert small.asked() == 2
    for _ in range(2):
        await small.ask(http)
    assert small.asked() == 3

    async def expired() -> bool:
        _, headers, _ = await small.ask(http)
        return headers["cache-status"] == "edge_gateway; fwd=miss"

    async with asyncio.timeout(NEVER):
        while not await expired():
            pass


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()


async def test_edges_that_share_a_redis_share_their_answers_and_go_on_without_it(
    http, system, portkey, edge_config, router_config, redis
):
    with ExitStack() as houses:
        edges = [started(system, portkey, edge_config, router_config, EDGE_REDIS_URL=redis.url) for _ in range(2)]
        one, two = (House(houses.enter_context(edge)) for edge in edges)
        two.key = one.key
        _, first, body = await one.ask(http, stream=True)
        wait_until(lambda: redis.command("DBSIZE") == b":2\r\n", "the answer in Redis")
        _, again, repeated = await two.ask(http, stream=True)
        assert (again["cache-status"], repeated) == ("edge_gateway; hit", body)
        assert again["x-router-decision-id"] == first["x-router-decision-id"]
        redis.kill()
        status, headers, _ = await two.ask(http, stream=True)
        assert (status, headers["cache-status"]) == (200, "edge_gateway; fwd=miss")


async def test_memory_holds_so_many_bytes_and_lets_the_oldest_go():
    clock = [0.0]
    store = MemoryStore(3_000, lambda: clock[0])
    for number in range(10):
        await store.put(b"%d" % number, b"x" * 600, 60, f"dec_{number}")
    assert [number for number in range(10) if await store.get(b"%d" % number)] == [7, 8, 9]
    await store.put(b"9", b"y", 60, "dec_9b")
    await store.forget("dec_9")
    assert await store.get(b"9") == b"y"
    await store.forget("dec_9b")
    assert await store.get(b"9") is None
    await store.put(b"big", b"x" * 3_000, 60, "dec_big")
    assert await store.get(b"big") is None
    clock[0] = 61
    assert await store.get(b"8") is None


async def test_an_answer_whose_time_is_over_holds_no_memory():
    now = [0.0]
    store, answer = MemoryStore(1024 * 1024, lambda: now[0]), bytes(1000)
    held = sys.getrefcount(answer)
    await store.put(b"first", answer, 5, "dec_1")
    assert sys.getrefcount(answer) == held + 1
    now[0] = 5
    await store.put(b"second", b"another", 5, "dec_2")
    assert sys.getrefcount(answer) == held
    assert (await store.get(b"first"), await store.get(b"second")) == (None, b"another")
