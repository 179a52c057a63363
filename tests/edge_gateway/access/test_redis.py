"""Edges at one Redis share what keys may use, and go on by themselves while it is slow or gone."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from edge_gateway.access.limits import Limit
from edge_gateway.access.redis import RedisLimiter
from edge_gateway.access.redis_link import FAILURES
from tests.clock import Clock
from tests.edge_gateway.access.clock import claim, key, wednesday
from tests.processes import NEVER
from tests.redis_server import RedisServer

# Five times the default: a loaded machine must not look like a Redis that is gone.
OP_TIMEOUT = 0.25


class Edge:
    """One edge's limiter, and what it told."""

    def __init__(self, server: RedisServer, clock: Clock | None, op_timeout: float) -> None:
        self.told: list[tuple[str, object]] = []
        self.limiter = RedisLimiter(
            server.url, lambda event, fields: self.told.append((event, fields)), op_timeout, clock
        )
        self.admit, self.settle, self.reconcile = self.limiter.admit, self.limiter.settle, self.limiter.reconcile

    async def use(self, who, id: str, tokens: int = 0, usd: float = 0.0) -> None:
        assert await self.admit(who, id, claim(tokens, usd)) is None
        await self.settle(who, id, tokens, usd)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    redis = RedisServer()
    yield redis
    redis.close()


@asynccontextmanager
async def edge(server: RedisServer, clock: Clock | None = None, op_timeout: float = 5) -> AsyncIterator[Edge]:
    opened = Edge(server, clock, op_timeout)
    yield opened
    await opened.limiter.close()


@pytest.fixture
async def edges(server: RedisServer) -> AsyncIterator[tuple[Edge, Edge, Clock]]:
    server.command("FLUSHALL")
    clock = wednesday()
    async with edge(server, clock) as one, edge(server, clock) as other:
        yield one, other, clock


@pytest.fixture
async def hasty(server: RedisServer) -> AsyncIterator[Edge]:
    """An edge that gives Redis little time, on real clocks."""
    server.command("FLUSHALL")
    async with edge(server, op_timeout=OP_TIMEOUT) as opened:
        yield opened


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = NEVER) -> None:
    """Poll until the condition holds."""
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.02)


def fields(server: RedisServer, name: str) -> str:
    return server.command("HKEYS", f"edge:limits:{name}").decode()


async def test_two_edges_share_every_limit(edges):
    one, other, _ = edges
    await one.reconcile({}, {}, edges[2]())
    parallel, requests = key("p", parallel=1), key("r", requests_per_minute=1)
    assert await one.admit(parallel, "a", claim()) is None
    assert (await other.admit(parallel, "b", claim())).limit is Limit.PARALLEL
    await one.settle(parallel, "a", 0, 0.0)
    assert await other.admit(parallel, "b", claim()) is None
    await one.use(requests, "c")
    assert (await other.admit(requests, "d", claim())).limit is Limit.REQUESTS
    tokens, dollars = key("t", tokens_per_minute=10), key("d", budget_usd_per_day=1)
    await one.use(tokens, "e", 10)
    assert (await other.admit(tokens, "f", claim(1))).limit is Limit.TOKENS
    await one.use(dollars, "g", usd=1.0)
    assert (await other.admit(dollars, "h", claim())).limit is Limit.DAY


async def test_many_requests_at_two_edges_spend_no_more_than_the_budget_and_one_requests_part(edges):
    one, other, clock = edges
    await one.reconcile({}, {}, clock())
    who, spent = key(budget_usd_per_day=5.25), 0.0

    async def ask(limiter: Edge, id: str) -> float:
        if await limiter.admit(who, id, claim(0, 1.0)) is not None:
            return 0.0
        await limiter.settle(who, id, 0, 0.5)
        return 0.5

    for turn in range(20):
        spent += sum(await asyncio.gather(*(ask((one, other)[n % 2], f"{turn}.{n}") for n in range(10))))
    assert 5.25 <= spent <= 5.25 + 0.5


async def test_the_claims_of_an_edge_that_died_end_after_fifteen_minutes(edges):
    dead, other, clock = edges
    who = key(parallel=1)
    assert await dead.admit(who, "a", claim()) is None
    clock.now += 899
    assert (await other.admit(who, "b", claim())).limit is Limit.PARALLEL
    clock.now += 1
    assert await other.admit(who, "b", claim()) is None


async def test_what_redis_knows_was_spent_need_not_be_told_to_an_edge_that_begins(edges):
    one, other, clock = edges
    who = key(budget_usd_per_day=1)
    assert (await one.admit(who, "a", claim())).limit is Limit.UNKNOWN
    assert not one.limiter.reconciled
    await one.reconcile({"alice": 0.5}, {"alice": 0.5}, clock())
    assert await other.admit(who, "b", claim(0, 0.5)) is None
    assert other.limiter.reconciled


async def test_a_redis_that_begins_anew_is_told_what_this_edge_knows(server, edges):
    one, other, clock = edges
    who = key(budget_usd_per_day=1)
    await one.reconcile({}, {}, clock())
    await one.use(who, "a", usd=1.0)
    server.command("FLUSHALL")
    assert (await other.admit(who, "b", claim())).limit is Limit.UNKNOWN
    assert (await one.admit(who, "c", claim())).limit is Limit.DAY
    assert (await other.admit(who, "d", claim())).limit is Limit.DAY


async def test_redis_goes_by_its_own_clock(server, hasty):
    second = int(server.command("TIME").split(b"\r\n")[2])
    await hasty.use(key(requests_per_minute=5), "a")
    assert any(f"r:{second + late}\r\n" in fields(server, "alice") for late in range(60))


async def test_what_redis_keeps_ends_by_itself(server, edges):
    one, _, clock = edges
    await one.reconcile({"alice": 1.0}, {"alice": 1.0}, clock())
    await one.use(key("bob", parallel=1), "a", 5, 0.5)
    for name in ("edge:limits:alice", "edge:limits:bob", "edge:reconciled"):
        assert 31 * 86_400 < int(server.command("TTL", name)[1:]) <= 40 * 86_400, name


async def test_without_redis_an_edge_goes_on_by_itself_as_far_as_it_had_come(server, hasty):
    who = key(requests_per_minute=3)
    await hasty.use(who, "1")
    await hasty.use(who, "2")
    server.kill()
    try:
        await hasty.use(who, "3")
        for number in range(1000):
            assert (await hasty.admit(who, f"x{number}", claim())).limit is Limit.REQUESTS
        assert [event for event, _ in hasty.told] == ["limits_without_redis"]
        assert str(server.port) not in str(hasty.told)
    finally:
        server.start()

    async def back() -> bool:
        return len(hasty.told) > 1

    await eventually(back, "Redis back")
    assert hasty.told[1][0] == "limits_with_redis"
    await hasty.use(key("bob", requests_per_minute=1), "4")
    assert "r:" in fields(server, "bob")


async def test_a_budget_is_kept_while_redis_is_gone_and_redis_learns_what_was_spent_meanwhile(server, hasty):
    who = key(budget_usd_per_day=3)
    await hasty.reconcile({}, {}, time.time())
    async with edge(server) as other:
        await other.use(who, "other", usd=1.0)
        await hasty.use(who, "1", usd=1.0)
        assert await hasty.admit(who, "under way", claim(0, 0.5)) is None
        server.freeze()
        try:
            await hasty.settle(who, "under way", 0, 0.5)
            await hasty.use(who, "2", usd=0.5)
            assert (await hasty.admit(who, "3", claim())).limit is Limit.DAY
        finally:
            server.thaw()

        async def learnt() -> bool:
            refusal = await other.admit(who, "4", claim(0, 1.0))
            if refusal is None:
                await other.settle(who, "4", 0, 0.0)
            return refusal is not None and refusal.limit is Limit.DAY and not refusal.passing

        await eventually(learnt, "what was spent, in Redis")


async def test_nothing_is_counted_twice_when_redis_was_slow(server, hasty):
    who = key(budget_usd_per_day=10)
    await hasty.reconcile({}, {}, time.time())
    for number in range(3):
        assert await hasty.admit(who, str(number), claim(0, 1.0)) is None
    server.freeze()
    try:
        # One attempt each is in Redis's queue, and will be heard beside the one that follows.
        for number in range(3):
            await hasty.settle(who, str(number), 0, 1.0)
        assert await hasty.admit(who, "late", claim(0, 1.0)) is None
    finally:
        server.thaw()
    await hasty.settle(who, "late", 0, 1.0)

    async def told() -> bool:
        return not hasty.limiter._owed and not hasty.limiter._link.aside

    await eventually(told, "all told")
    values = dict(zip(*[iter(hash_of(server, "alice"))] * 2, strict=True))
    assert [float(usd) for name, usd in values.items() if name.startswith("d:")] == [4.0]
    assert not [name for name in values if name.startswith("c:")]


def hash_of(server: RedisServer, name: str) -> list[str]:
    return server.command("HGETALL", f"edge:limits:{name}").decode().split("\r\n")[2::2]


async def test_an_admission_that_was_given_up_leaves_nothing_claimed(server, hasty):
    who = key(parallel=1)
    await asyncio.gather(*(hasty.use(key("others"), str(number)) for number in range(FAILURES)))
    server.freeze()
    try:
        asking = [asyncio.create_task(hasty.admit(who, str(number), claim())) for number in range(FAILURES)]
        for _ in range(20):
            # The questions are sent, so Redis will hear them when it goes on.
            await asyncio.sleep(0)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        assert all(task.cancelled() for task in asking)
    finally:
        server.thaw()

    async def free() -> bool:
        if await hasty.admit(who, "next", claim()) is not None:
            return False
        return "c:next" in fields(server, "alice")

    await eventually(free, "room in Redis")


async def test_a_question_that_redis_hears_only_after_its_request_was_settled_claims_nothing(server, edges):
    one, _, _ = edges
    who = key(parallel=1)
    # What a settlement leaves there when Redis was not known to have the claim.
    server.command("SET", "edge:settled:late", "1")
    assert await one.admit(who, "late", claim()) is None
    assert fields(server, "alice") == "*0\r\n"
