"""The door: who waits, who is refused and in which words, and what a ticket settles."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from edge_gateway.access import waiting
from edge_gateway.access.admission import Admission, Ticket
from edge_gateway.access.limiter import Limiter
from edge_gateway.access.limits import Claim
from edge_gateway.access.memory import MemoryLimiter
from edge_gateway.access.redis import RedisLimiter
from edge_gateway.errors import GatewayError
from tests.clock import Clock
from tests.edge_gateway.access.clock import claim, key, wednesday
from tests.redis_server import RedisServer

# Longer than any test may take: who waits so long and is admitted was admitted because there was room.
LONG = 600.0


class Counting(MemoryLimiter):
    """Memory, and how often it was asked."""

    asked = 0

    async def admit(self, *arguments):
        self.asked += 1
        return await super().admit(*arguments)


@pytest.fixture
def clock() -> Clock:
    return wednesday()


@pytest.fixture
async def limiter(clock: Clock) -> Counting:
    opened = Counting(clock)
    await opened.reconcile({}, {}, clock())
    return opened


@pytest.fixture
def server() -> Iterator[RedisServer]:
    redis = RedisServer()
    yield redis
    redis.close()


@pytest.fixture(params=["memory", "redis"])
async def doors(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[list[Admission]]:
    """One edge's door, or the doors of two that share a Redis."""
    if request.param == "memory":
        limiters: list[Limiter] = [MemoryLimiter(clock)]
    else:
        server = request.getfixturevalue("server")
        limiters = [RedisLimiter(server.url, lambda *told: pytest.fail(str(told)), 30, clock) for _ in range(2)]
    await limiters[0].reconcile({}, {}, clock())
    yield [Admission(limiter, LONG) for limiter in limiters]
    for limiter in limiters:
        await limiter.close()


async def refusal(admission: Admission, who, wanted: Claim | None = None) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await admission.enter(who, wanted or claim())
    return caught.value


async def turns(number: int = 20) -> None:
    """Let all others go on until they wait."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_key_without_limits_is_not_counted_at_all(limiter):
    admission = Admission(limiter)
    ticket = await admission.enter(key(), claim(10, None))
    await ticket.settle(10, 1.0)
    assert limiter.asked == 0
    assert limiter._accounts._accounts == {}


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"requests_per_minute": 1}, "The key alice has used its requests a minute: 1 (requests_per_minute)."),
        ({"tokens_per_minute": 5}, "The 5 tokens a minute of the key alice are used up (tokens_per_minute)."),
    ],
)
async def test_a_used_up_minute_is_a_429_that_names_limit_key_and_seconds(limiter, limits, says):
    admission = Admission(limiter, LONG)
    await (await admission.enter(key(**limits), claim(5))).settle(5, 0.0)
    error = await refusal(admission, key(**limits), claim(5))
    assert (error.status, error.kind, error.code) == (429, "rate_limit_error", "rate_limit_exceeded")
    assert error.message == f"{says} Try again in 61 s."
    # OpenAI's clients take no longer time from the header.
    assert error.headers == {"retry-after": "60"}


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"parallel": 1}, "The key alice has as many requests under way as it may: 1 (parallel)."),
        ({"tokens_per_minute": 5}, "may be used up by requests under way (tokens_per_minute)."),
        ({"budget_usd_per_day": 2}, "the key alice's budget of $2 a day may be used up by requests under way"),
        ({"budget_usd_per_month": 2.5}, "the key alice's budget of $2.5 a month may be used up by requests under way"),
    ],
)
async def test_who_waits_in_vain_for_others_is_told_to_try_again(limiter, limits, says):
    admission = Admission(limiter, wait=0.05)
    await admission.enter(key(**limits), claim(5, 2.0))
    error = await refusal(admission, key(**limits), claim(5, 2.0))
    assert (error.status, error.kind, error.code) == (429, "rate_limit_error", "rate_limit_exceeded")
    assert says in error.message
    assert error.headers == {"retry-after": "1"}


@pytest.mark.parametrize(
    ("name", "limits", "says"),
    [
        (
            "alice",
            {"budget_usd_per_day": 2},
            "The key alice has spent its budget of $2 a day; it starts anew on 2026-11-26",
        ),
        (
            "bob",
            {"budget_usd_per_month": 1.25},
            "The key bob has spent its budget of $1.25 a month; it starts anew on 2026-12-01",
        ),
        (
            "alice",
            {"budget_usd_per_day": 429},
            "The key has spent its budget for the day; it starts anew on 2026-11-26",
        ),
        (
            "x429",
            {"budget_usd_per_month": 1},
            "The key has spent its budget for the month; it starts anew on 2026-12-01",
        ),
    ],
)
async def test_a_spent_budget_stops_aider_at_once(limiter, name, limits, says):
    admission = Admission(limiter, LONG)
    await (await admission.enter(key(name, **limits), claim(0, 429.0))).settle(0, 429.0)
    error = await refusal(admission, key(name, **limits))
    assert (error.status, error.kind, error.code) == (403, "invalid_request_error", "budget_exceeded")
    assert error.message == f"{says} 00:00 UTC."
    assert "429" not in error.body().decode()
    assert "rate limit" not in error.body().decode().lower()
    assert error.headers == {}


async def test_a_key_with_a_budget_cannot_ask_for_what_has_no_known_price(limiter):
    admission = Admission(limiter)
    error = await refusal(admission, key(budget_usd_per_month=5), claim(5, None))
    assert (error.status, error.kind, error.code) == (400, "invalid_request_error", "model_price_unknown")
    await admission.enter(key(parallel=1), claim(5, None))


async def test_a_key_with_a_budget_is_refused_until_it_is_known_what_was_spent(clock):
    limiter = MemoryLimiter(clock)
    admission = Admission(limiter, LONG)
    assert not admission.reconciled
    error = await refusal(admission, key(budget_usd_per_day=5))
    assert (error.status, error.code, error.headers) == (503, "budget_unknown", {"retry-after": "2"})
    await admission.enter(key(requests_per_minute=5), claim())
    await limiter.reconcile({}, {}, clock())
    assert admission.reconciled
    await admission.enter(key(budget_usd_per_day=5), claim())


async def test_a_ticket_is_settled_once(limiter):
    admission = Admission(limiter, wait=0)
    who = key(budget_usd_per_day=3)
    ticket = await admission.enter(who, claim(0, 2.0))
    for _ in range(3):
        await ticket.settle(0, 1.0)
    await (await admission.enter(who, claim(0, 2.0))).settle(0, 2.0)
    assert (await refusal(admission, who)).code == "budget_exceeded"


@pytest.mark.parametrize("usd", [float("nan"), float("inf"), -1.0])
async def test_what_is_no_amount_counts_as_what_was_claimed(limiter, usd):
    who = key(budget_usd_per_day=2)
    await (await Admission(limiter).enter(who, claim(0, 2.0))).settle(0, usd)
    assert (await refusal(Admission(limiter), who)).code == "budget_exceeded"


@pytest.mark.parametrize(("tokens", "usd"), [(-1, 0.0), (0, -1.0), (0, float("nan")), (0, float("inf"))])
def test_a_claim_of_no_amount_is_an_error(tokens, usd):
    with pytest.raises(ValueError, match="a claim is of nothing or more"):
        Claim(tokens, usd)


async def test_who_waits_gets_in_as_soon_as_there_is_room_in_the_order_in_which_they_came(limiter, monkeypatch):
    # Nobody asks again and again: each is called.
    monkeypatch.setattr(waiting, "POLL", LONG)
    admission = Admission(limiter, LONG)
    who, order = key(parallel=1), []

    async def ask(number: int) -> None:
        ticket = await admission.enter(who, claim())
        order.append(number)
        await ticket.settle(0, 0.0)

    first = await admission.enter(who, claim())
    asking = []
    for number in range(10):
        asking.append(asyncio.create_task(ask(number)))
        await turns(3)
    assert order == []
    await first.settle(0, 0.0)
    await asyncio.gather(*asking)
    assert order == list(range(10))
    assert admission._lines == {}


async def test_a_large_request_is_not_passed_by_small_ones_for_ever(limiter):
    admission = Admission(limiter, LONG)
    who = key(tokens_per_minute=100)
    small = await admission.enter(who, claim(50))
    large = asyncio.create_task(admission.enter(who, claim(90)))
    await turns()
    late = asyncio.create_task(admission.enter(who, claim(10)))
    await turns()
    assert not large.done()
    assert not late.done()
    await small.settle(0, 0.0)
    await large
    await late


async def test_room_that_another_edge_leaves_is_found(clock):
    # The limiter is settled behind this door's back, as another edge would do it.
    limiter = MemoryLimiter(clock)
    admission = Admission(limiter, LONG)
    who = key(parallel=1)
    assert await limiter.admit(who, "elsewhere", claim()) is None
    asking = asyncio.create_task(admission.enter(who, claim()))
    await turns()
    assert not asking.done()
    await limiter.settle(who, "elsewhere", 0, 0.0)
    assert isinstance(await asking, Ticket)


async def test_who_gives_up_waiting_leaves_nothing_claimed_and_the_next_has_its_turn(limiter):
    admission = Admission(limiter, LONG)
    who = key(parallel=1)
    first = await admission.enter(who, claim())
    quitter = asyncio.create_task(admission.enter(who, claim()))
    await turns()
    patient = asyncio.create_task(admission.enter(who, claim()))
    await turns()
    quitter.cancel()
    await asyncio.gather(quitter, return_exceptions=True)
    await first.settle(0, 0.0)
    ticket = await patient
    await ticket.settle(0, 0.0)
    await admission.enter(who, claim())


async def test_no_more_wait_than_there_is_memory_for(limiter):
    admission = Admission(limiter, LONG)
    who = key(parallel=1)
    first = await admission.enter(who, claim())
    asking = [asyncio.create_task(admission.enter(who, claim())) for _ in range(waiting.LONGEST)]
    await turns()
    assert (await refusal(admission, who)).status == 429
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await first.settle(0, 0.0)
    await admission.enter(who, claim())


async def test_two_hundred_at_once_spend_no_more_than_the_budget_and_one_requests_part(doors):
    who = key(budget_usd_per_day=10.25, parallel=50)
    spent, refused = [], []

    async def ask(number: int) -> None:
        try:
            ticket = await doors[number % len(doors)].enter(who, claim(0, 1.0))
        except GatewayError as error:
            refused.append(error.code)
            return
        await asyncio.sleep(0)
        spent.append(0.125 * (number % 8 + 1))
        await ticket.settle(0, spent[-1])

    await asyncio.gather(*map(ask, range(200)))
    assert 10.25 <= sum(spent) <= 10.25 + 1.0
    assert len(spent) + len(refused) == 200
    assert set(refused) == {"budget_exceeded"}
