"""Every limiter passes one suite; its clock is the test's, so nothing waits."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_gateway.access.limiter import InvalidAddress, Limiter, open_limiter
from edge_gateway.access.limits import WINDOW, Limit
from edge_gateway.access.memory import MemoryLimiter
from edge_gateway.access.redis import RedisLimiter
from tests.clock import Clock
from tests.edge_gateway.access.clock import DAY, START, claim, key, wednesday
from tests.redis_server import RedisServer


def no_trouble(event: str, fields: object) -> None:
    pytest.fail(f"{event}: {fields}")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    redis = RedisServer()
    yield redis
    redis.close()


@pytest.fixture
def clock() -> Clock:
    return wednesday()


@pytest.fixture(params=["memory", "redis"])
async def limiter(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Limiter]:
    if request.param == "memory":
        opened: Limiter = MemoryLimiter(clock)
    else:
        server = request.getfixturevalue("server")
        server.command("FLUSHALL")
        # No test of the shared suite is about time-outs, so a loaded machine may take its time.
        opened = RedisLimiter(server.url, no_trouble, op_timeout=5, clock=clock)
    await opened.reconcile({}, {}, clock())
    yield opened
    await opened.close()


async def use(limiter: Limiter, who, id: str, tokens: int = 0, usd: float = 0.0) -> None:
    """A request that is admitted, and settled with all that it claimed."""
    assert await limiter.admit(who, id, claim(tokens, usd)) is None
    await limiter.settle(who, id, tokens, usd)


async def test_no_sixty_seconds_hold_more_requests_than_the_limit(limiter, clock):
    who = key(requests_per_minute=2)
    await use(limiter, who, "1")
    clock.now += 30
    await use(limiter, who, "2")
    refusal = await limiter.admit(who, "3", claim())
    assert (refusal.limit, refusal.passing, refusal.seconds) == (Limit.REQUESTS, False, 31)
    # The second in which the 60 begin counts in full.
    clock.now = START + WINDOW
    assert (await limiter.admit(who, "3", claim())).seconds == 1
    clock.now = START + WINDOW + 0.5
    await use(limiter, who, "3")
    assert (await limiter.admit(who, "4", claim())).limit is Limit.REQUESTS


async def test_a_refused_request_does_not_count(limiter, clock):
    who = key(requests_per_minute=1)
    await use(limiter, who, "0")
    for number in range(50):
        clock.now += 1
        assert await limiter.admit(who, f"r{number}", claim()) is not None
    clock.now = START + WINDOW + 1
    await use(limiter, who, "1")


async def test_so_many_requests_are_under_way_as_may_be_parallel(limiter):
    who = key(parallel=2)
    for id in "ab":
        assert await limiter.admit(who, id, claim()) is None
    refusal = await limiter.admit(who, "c", claim())
    assert (refusal.limit, refusal.passing) == (Limit.PARALLEL, True)
    await limiter.settle(who, "a", 0, 0.0)
    assert await limiter.admit(who, "c", claim()) is None


async def test_what_is_claimed_counts_until_it_is_settled(limiter):
    who = key(tokens_per_minute=100)
    assert await limiter.admit(who, "a", claim(60)) is None
    refusal = await limiter.admit(who, "b", claim(60))
    assert (refusal.limit, refusal.passing) == (Limit.TOKENS, True)
    assert await limiter.admit(who, "c", claim(40)) is None
    await limiter.settle(who, "a", 10, 0.0)
    assert await limiter.admit(who, "b", claim(50)) is None
    assert (await limiter.admit(who, "d", claim(1))).passing


async def test_alone_a_request_may_pass_the_limit_and_then_no_other_may(limiter, clock):
    who = key(tokens_per_minute=100)
    assert await limiter.admit(who, "a", claim(1000)) is None
    assert (await limiter.admit(who, "b", claim(1))).passing
    clock.now += 10
    await limiter.settle(who, "a", 1000, 0.0)
    refusal = await limiter.admit(who, "b", claim(1))
    assert (refusal.limit, refusal.passing) == (Limit.TOKENS, False)
    assert refusal.seconds == 61, "tokens count in the second in which they are settled"
    clock.now += 61
    assert await limiter.admit(who, "b", claim(1)) is None


async def test_tokens_are_free_again_as_soon_as_enough_of_them_are_a_minute_old(limiter, clock):
    who = key(tokens_per_minute=100)
    for number in range(5):
        await use(limiter, who, str(number), 30)
        clock.now += 10
        if number == 3:
            break
    assert (await limiter.admit(who, "x", claim(1))).seconds == 21
    clock.now += 21
    assert await limiter.admit(who, "x", claim(1)) is None


async def test_a_budget_of_the_day_is_spent_until_midnight_and_of_the_month_until_its_end(limiter, clock):
    who = key(budget_usd_per_day=4, budget_usd_per_month=6)
    await use(limiter, who, "1", usd=4.0)
    refusal = await limiter.admit(who, "2", claim(0, 0.0))
    assert (refusal.limit, refusal.passing) == (Limit.DAY, False)
    assert datetime.fromtimestamp(refusal.room, UTC) == datetime(2026, 11, 26, tzinfo=UTC)
    clock.now = refusal.room
    await use(limiter, who, "2", usd=2.0)
    refusal = await limiter.admit(who, "3", claim(0, 0.0))
    assert (refusal.limit, refusal.passing) == (Limit.MONTH, False)
    assert datetime.fromtimestamp(refusal.room, UTC) == datetime(2026, 12, 1, tzinfo=UTC)
    clock.now = refusal.room - 1
    assert (await limiter.admit(who, "3", claim(0, 0.0))).limit is Limit.MONTH
    clock.now = refusal.room
    await use(limiter, who, "3", usd=3.0)


@pytest.mark.parametrize(
    "moment", [(2026, 12, 31), (2027, 2, 28), (2028, 2, 28), (2028, 2, 29), (2100, 2, 28), (2026, 4, 30), (2027, 1, 1)]
)
async def test_months_end_where_the_calendar_says(limiter, clock, moment):
    who = key(budget_usd_per_month=1)
    noon = datetime(*moment, 12, tzinfo=UTC)
    clock.now = noon.timestamp()
    await limiter.reconcile({}, {}, clock())
    await use(limiter, who, "1", usd=1.0)
    clock.now += DAY
    refusal = await limiter.admit(who, "2", claim())
    assert (refusal is None) == (datetime.fromtimestamp(clock(), UTC).month != noon.month)


async def test_dollars_are_claimed_of_day_and_month_alike(limiter):
    who = key(budget_usd_per_day=10, budget_usd_per_month=4)
    assert await limiter.admit(who, "a", claim(0, 3.0)) is None
    refusal = await limiter.admit(who, "b", claim(0, 2.0))
    assert (refusal.limit, refusal.passing) == (Limit.MONTH, True)
    await limiter.settle(who, "a", 0, 1.0)
    assert await limiter.admit(who, "b", claim(0, 3.0)) is None


async def test_a_request_is_settled_once_and_one_that_is_unknown_never(limiter):
    who = key(budget_usd_per_day=4)
    assert await limiter.admit(who, "a", claim(0, 1.0)) is None
    for _ in range(3):
        await limiter.settle(who, "a", 0, 1.0)
        await limiter.settle(who, "unknown", 0, 3.0)
    await use(limiter, who, "b", usd=2.5)
    await use(limiter, who, "c", usd=0.5)
    assert (await limiter.admit(who, "d", claim())).limit is Limit.DAY


async def test_keys_do_not_count_for_each_other(limiter):
    await use(limiter, key("alice", requests_per_minute=1), "1")
    await use(limiter, key("bob", requests_per_minute=1), "2")
    assert await limiter.admit(key("alice", requests_per_minute=1), "3", claim()) is not None


async def test_a_spent_budget_comes_before_a_limit_that_waiting_mends(limiter):
    who = key(budget_usd_per_day=1, requests_per_minute=1, tokens_per_minute=1, parallel=1)
    assert await limiter.admit(who, "1", claim(1, 1.0)) is None
    assert (await limiter.admit(who, "2", claim(1, 1.0))).limit is Limit.REQUESTS
    await limiter.settle(who, "1", 1, 1.0)
    assert (await limiter.admit(who, "2", claim(1, 1.0))).limit is Limit.DAY


async def test_the_ledgers_sums_raise_what_was_spent_and_never_lower_it(limiter, clock):
    who = key(budget_usd_per_day=5, budget_usd_per_month=100)
    await use(limiter, who, "1", usd=2.0)
    await limiter.reconcile({"alice": 1.0}, {"alice": 1.0}, clock())
    await use(limiter, who, "2", usd=1.0)
    await limiter.reconcile({"alice": 4.0, "gone": 7.0}, {"alice": 4.0, "gone": 7.0}, clock())
    await use(limiter, who, "3", usd=1.0)
    assert (await limiter.admit(who, "4", claim())).limit is Limit.DAY
    await limiter.reconcile({}, {"alice": 100.0}, clock())
    assert (await limiter.admit(who, "4", claim())).limit is Limit.MONTH


async def test_sums_that_arrive_after_midnight_are_yesterdays(limiter, clock):
    who = key(budget_usd_per_day=5)
    asked = clock()
    clock.now += 3 * 3600
    await limiter.reconcile({"alice": 5.0}, {"alice": 5.0}, asked)
    assert await limiter.admit(who, "1", claim()) is None


async def test_a_clock_that_is_set_back_does_not_lock_a_key_out(limiter, clock):
    who = key(requests_per_minute=1, tokens_per_minute=1)
    await use(limiter, who, "1", 1)
    clock.now -= 3600
    assert await limiter.admit(who, "2", claim()) is None


# The rules hold for any order of events.

AMOUNTS = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 5.0])
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), AMOUNTS, st.integers(0, 40)),
        st.tuples(st.just("settle"), st.integers(0, 5), st.sampled_from([0.0, 0.5, 1.0])),
        # In all less than the 900 s after which Redis takes a process for dead.
        st.tuples(st.just("later"), st.sampled_from([0.25, 1.0, 20.0]), st.none()),
        st.tuples(st.just("much later"), st.sampled_from([DAY / 4, DAY]), st.none()),
    ),
    max_size=40,
)
LIMITED = key(
    requests_per_minute=5, tokens_per_minute=50, parallel=4, budget_usd_per_day=4.0, budget_usd_per_month=10.0
)


class Played:
    """What became of a list of events, for the rules to be checked on."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.answers: list[object] = []
        self.admitted: list[float] = []
        self.tokens: list[tuple[float, int]] = []
        self.dollars: list[tuple[float, float]] = []
        self.most_parallel = 0

    async def play(self, limiter: Limiter, events: list) -> None:
        under_way: list[tuple[str, int, float]] = []
        for number, (kind, first, second) in enumerate(events):
            if kind == "admit":
                refusal = await limiter.admit(LIMITED, str(number), claim(second, first))
                self.answers.append(refusal)
                if refusal is None:
                    under_way.append((str(number), second, first))
                    self.admitted.append(self.clock())
                    self.most_parallel = max(self.most_parallel, len(under_way))
            elif kind == "settle" and under_way:
                await self.settle(limiter, *under_way.pop(first % len(under_way)), second)
            elif kind == "later":
                self.clock.now += first
            elif kind == "much later":
                while under_way:
                    await self.settle(limiter, *under_way.pop(), 1.0)
                self.clock.now += first

    async def settle(self, limiter: Limiter, id: str, tokens: int, usd: float, share: float) -> None:
        used, spent = int(tokens * share), usd * share
        self.tokens.append((self.clock(), used))
        self.dollars.append((self.clock(), spent))
        await limiter.settle(LIMITED, id, used, spent)

    def check(self) -> None:
        limits = LIMITED.limits
        assert self.most_parallel <= limits.parallel
        for begin in self.admitted:
            assert sum(begin <= at < begin + WINDOW for at in self.admitted) <= limits.requests_per_minute
        for begin, _ in self.tokens:
            within = [used for at, used in self.tokens if begin <= at < begin + WINDOW]
            assert sum(within) <= limits.tokens_per_minute + max(within)
        for period, most in (("%Y-%m-%d", limits.budget_usd_per_day), ("%Y-%m", limits.budget_usd_per_month)):
            for moment, _ in self.dollars:
                name = datetime.fromtimestamp(moment, UTC).strftime(period)
                spent = [usd for at, usd in self.dollars if datetime.fromtimestamp(at, UTC).strftime(period) == name]
                assert sum(spent) <= most + max(spent)


@given(EVENTS)
@settings(max_examples=300, deadline=None)
def test_no_order_of_events_uses_more_than_the_limits_and_one_requests_part(events):
    clock = wednesday()
    played = Played(clock)

    async def play() -> None:
        limiter = MemoryLimiter(clock)
        await limiter.reconcile({}, {}, clock())
        await played.play(limiter, events)

    asyncio.run(play())
    played.check()


@given(EVENTS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_redis_answers_any_order_of_events_as_memory_does(server, events):
    remembered, shared = Played(wednesday()), Played(wednesday())
    server.command("FLUSHALL")

    async def play() -> None:
        memory = MemoryLimiter(remembered.clock)
        redis = RedisLimiter(server.url, no_trouble, op_timeout=5, clock=shared.clock)
        try:
            for limiter, played in ((memory, remembered), (redis, shared)):
                await limiter.reconcile({}, {}, played.clock())
                await played.play(limiter, events)
        finally:
            await redis.close()

    asyncio.run(play())
    assert shared.answers == remembered.answers
    shared.check()


# Memory.


async def test_memory_refuses_a_key_with_a_budget_until_it_knows_what_was_spent(clock):
    limiter = MemoryLimiter(clock)
    who = key(budget_usd_per_day=1)
    assert (await limiter.admit(who, "1", claim())).limit is Limit.UNKNOWN
    assert await limiter.admit(key("bob", parallel=1), "2", claim()) is None
    assert not limiter.reconciled
    await limiter.reconcile({}, {}, clock())
    assert limiter.reconciled
    assert await limiter.admit(who, "1", claim()) is None


async def test_memory_keeps_nothing_of_keys_that_have_nothing_left_to_count(clock):
    limiter = MemoryLimiter(clock)
    for number in range(1000):
        await use(limiter, key(f"k{number}", requests_per_minute=1), "1", 5, 0.5)
    clock.now += 40 * DAY
    await limiter.reconcile({}, {"k1": 2.0}, clock())
    assert list(limiter._accounts._accounts) == ["k1"]


# What an address means.


async def test_no_address_means_memory():
    assert isinstance(open_limiter("", no_trouble), MemoryLimiter)


@pytest.mark.parametrize(
    "url", ["localhost:6379", "http://sentinel@x", "redis://:sentinel@x:port/0", "redis://:sentinel@x/0?db=sentinel"]
)
def test_a_wrong_address_is_named_without_its_password(url):
    with pytest.raises(InvalidAddress, match=r"^EDGE_REDIS_URL: ") as caught:
        open_limiter(url, no_trouble)
    assert "sentinel" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "rediss://127.0.0.1:1/0", "unix:///nowhere/redis.sock"])
async def test_every_scheme_opens_and_a_redis_that_was_never_there_is_done_without(url):
    limiter = open_limiter(url, lambda *_: None)
    assert isinstance(limiter, RedisLimiter)
    await use(limiter, key(parallel=1), "1")
    await limiter.close()
