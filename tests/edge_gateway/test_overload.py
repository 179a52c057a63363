"""What is more than can be served in time is refused at once, and what costs nothing is not."""

import asyncio
import math
import threading
import uuid
from collections import Counter

import aiohttp
import pytest
from aiohttp import web

from edge_gateway.server.overload import (
    BEAT,
    FEW,
    LEAST,
    MOST_QUEUED,
    MOST_SPARED,
    PERIOD,
    RECOVERY,
    STILL_LATE,
    Shedding,
    Valve,
)
from tests.clock import Clock
from tests.conftest import edge_beside
from tests.fakes import provider as fake
from tests.processes import NEVER, log_events, wait_until

ASK = {"model": "fake/first", "messages": [{"role": "user", "content": "hi"}], "stream": True}
MOST_LAG = 0.003


def looks(valve: Valve, late: float, seconds: float) -> None:
    """So many seconds in which what is due runs so late each time."""
    for _ in range(math.ceil(seconds / (BEAT + late))):
        valve.look(late)


def test_an_event_loop_that_is_on_time_lets_all_in():
    valve = Valve(MOST_LAG)
    looks(valve, 0.002, 60)
    assert valve.wide_open
    assert all(valve.opens() for _ in range(100))


def test_the_later_it_is_the_fewer_are_let_in_but_never_none():
    shares = []
    for late in (0.015, 0.02, 0.5):
        valve = Valve(MOST_LAG)
        looks(valve, late, max(PERIOD, BEAT + late))
        shares.append(valve.share)
    assert 1 > shares[0] > shares[1] > shares[2] >= LEAST, shares
    looks(valve, 0.5, 60)
    assert valve.share == LEAST


def test_after_a_hiccup_all_are_let_in_again_within_seconds():
    valve = Valve(MOST_LAG)
    valve.look(2.0)
    assert not valve.wide_open
    looks(valve, 0.001, 2 * PERIOD / RECOVERY)
    assert valve.wide_open


@pytest.mark.parametrize("share", [0.05, 0.3, 0.75])
def test_the_share_is_let_in_evenly(share):
    valve = Valve(MOST_LAG)
    valve.share = share
    opened = [valve.opens() for _ in range(1000)]
    assert abs(sum(opened) - 1000 * share) <= 1
    assert abs(sum(opened[:100]) - 100 * share) <= 1


POST = {"method": "POST"}


def let_in(shedding: Shedding, count: int) -> int:
    """How many of so many that come in one turn of the event loop."""
    return sum(not shedding.refuses(POST) for _ in range(count))


def impatient(valve: Valve, more: int = 0) -> Shedding:
    """One that has spared as many as it spares; these wait for a model now, and so will as many more as are let in."""
    share, valve.share = valve.share, LEAST
    waiting = 0
    shedding = Shedding(valve, 100_000, lambda: waiting)
    spared = 0
    while not shedding.refuses(POST):
        spared += 1
    valve.share, waiting = share, spared + more
    return shedding


def test_of_a_crowd_that_comes_in_one_turn_no_more_are_let_in_than_may_be_under_way():
    shedding = Shedding(Valve(MOST_LAG), 3, lambda: 0)
    assert let_in(shedding, 200) == 3
    assert not shedding.refuses({"method": "GET"})


def test_while_the_event_loop_is_late_the_queue_is_short_and_otherwise_as_long_as_it_likes():
    late = Valve(MOST_LAG)
    late.share = 0.9
    assert FEW <= let_in(impatient(late), 300) <= MOST_QUEUED
    clock = Clock()
    on_time = Valve(MOST_LAG, clock)
    shedding = impatient(on_time)
    clock.now += STILL_LATE
    assert let_in(shedding, 300) == 300


async def test_an_edge_that_is_told_to_be_patient_refuses_nobody_when_a_look_at_the_loop_is_overdue():
    clock = Clock()
    for most_lag, served in ((MOST_LAG, MOST_QUEUED + MOST_SPARED), (60.0, 1_000)):
        valve = Valve(most_lag, clock)
        shedding = Shedding(valve, 10_000, lambda: 0)
        valve.wake()
        watching = asyncio.create_task(valve.watch())
        # Until it has said when it looks next.
        await asyncio.sleep(0)
        clock.now += BEAT + 1.0
        assert let_in(shedding, 1_000) == served
        watching.cancel()


def test_those_that_wait_for_a_model_are_no_queue():
    valve = Valve(MOST_LAG)
    valve.share = 0.9
    queued, waiting = impatient(valve), impatient(valve, more=50)
    for _ in range(FEW):
        assert not queued.refuses(POST)
    assert let_in(waiting, 50 + FEW) == 50 + FEW
    # The others are let in evenly, and not beyond the bound.
    assert let_in(waiting, 100) <= MOST_QUEUED - FEW


def test_a_queue_that_waits_for_a_slow_router_is_not_refused_for_ever_after_a_hiccup():
    clock = Clock()
    valve = Valve(MOST_LAG, clock)
    shedding = impatient(valve)
    clock.now += STILL_LATE
    # A second of requests that wait for the router, and one long turn of the event loop among them.
    assert let_in(shedding, 2 * MOST_QUEUED) == 2 * MOST_QUEUED
    valve.look(0.5)
    # One may be spared, for a second has passed.
    assert let_in(shedding, 100) <= 1
    looks(valve, 0.0, 2 * PERIOD / RECOVERY)
    assert valve.wide_open
    refused = 0
    for _ in range(100):
        clock.now += STILL_LATE / 50
        refused += shedding.refuses(POST)
    assert 0 < refused <= 50


async def status_of(http, url: str) -> int:
    async with http.post(f"{url}/v1/chat/completions", json=ASK) as answer:
        await answer.read()
        return answer.status


async def test_more_than_may_be_under_way_is_refused_at_once_and_served_when_there_is_room(
    http, system, portkey, edge_config
):
    asked, go_on = threading.Event(), threading.Event()

    async def hold(request, body):
        asked.set()
        await asyncio.to_thread(go_on.wait)
        return await fake.stream(request, fake.EVENTS)

    system.provider.script["first"] = hold
    with edge_beside(system, portkey, edge_config, EDGE_MAX_REQUESTS="1") as edge:
        first = asyncio.create_task(http.post(f"{edge.url}/v1/chat/completions", json=ASK))
        await asyncio.to_thread(asked.wait)
        for path, code in (("/v1/chat/completions", '"code": "overloaded"'), ("/v1/messages", '"overloaded_error"')):
            async with http.post(edge.url + path, json=ASK) as refused:
                assert (refused.status, refused.headers["retry-after"]) == (503, "1")
                assert code in await refused.text()
        async with http.get(f"{edge.url}/readyz") as ready:
            assert ready.status == 200
        go_on.set()
        async with await first as answer:
            assert answer.status == 200
            await answer.read()
        assert len(log_events(edge.edge, "overloaded")) == 1
        async with asyncio.timeout(NEVER):
            # The place is free a moment after the answer's last byte.
            while await status_of(http, edge.url) != 200:
                pass


async def test_while_the_edge_is_late_some_of_a_crowd_are_refused_and_all_that_were_let_in_are_served(
    system, portkey, edge_config
):
    async def ask() -> int:
        body = {**ASK, "messages": [{"role": "user", "content": uuid.uuid4().hex}]}
        async with crowd.post(f"{edge.url}/v1/chat/completions", json=body) as answer:
            await answer.read()
            return answer.status

    # Any lateness counts, and there always is some.
    every = aiohttp.TCPConnector(limit=0)
    with edge_beside(system, portkey, edge_config, EDGE_MAX_LAG_SECONDS="0.000000001") as edge:
        async with aiohttp.ClientSession(connector=every) as crowd:
            first = statuses = Counter(await asyncio.gather(*(ask() for _ in range(MOST_SPARED))))
            # A crowd of a moment is spared; one that goes on is not.
            assert first == {200: MOST_SPARED}
            async with asyncio.timeout(NEVER):
                while 503 not in statuses:
                    statuses += Counter(await asyncio.gather(*(ask() for _ in range(2 * MOST_SPARED))))
            assert set(statuses) == {200, 503}
            assert await ask() == 200
        told = log_events(edge.edge, "overloaded")
        assert all(event["queued"] <= event["under_way"] for event in told)
        assert 0 < sum(event["refused"] for event in told) <= statuses[503]


async def test_requests_that_wait_for_a_model_are_no_overload_however_late_the_edge_is(
    http, system, portkey, edge_config
):
    go_on = threading.Event()

    async def hold(request, body):
        await asyncio.to_thread(go_on.wait)
        return await fake.stream(request, fake.EVENTS)

    system.provider.script["first"] = hold
    before = len(system.provider.seen)
    with edge_beside(system, portkey, edge_config, EDGE_MAX_LAG_SECONDS="0.000000001") as edge:
        asked = []
        for number in range(FEW + 4):
            body = {**ASK, "messages": [{"role": "user", "content": str(number)}]}
            asked.append(asyncio.create_task(http.post(f"{edge.url}/v1/chat/completions", json=body)))
            here = before + number + 1
            await asyncio.to_thread(wait_until, lambda here=here: len(system.provider.seen) == here, "the model asked")
        go_on.set()
        answers = await asyncio.gather(*asked)
        assert {answer.status for answer in answers} == {200}
        for answer in answers:
            await answer.read()
        assert not log_events(edge.edge, "overloaded")


async def test_streams_that_have_begun_are_no_overload_however_late_the_edge_is(http, system, portkey, edge_config):
    go_on = threading.Event()

    async def begin(request, body):
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(fake.EVENTS[0])
        await asyncio.to_thread(go_on.wait)
        for event in fake.EVENTS[1:]:
            await response.write(event)
        return response

    system.provider.script["first"] = begin
    with edge_beside(system, portkey, edge_config, EDGE_MAX_LAG_SECONDS="0.000000001") as edge:
        begun = []
        for number in range(2 * FEW):
            body = {**ASK, "messages": [{"role": "user", "content": str(number)}]}
            begun.append(await http.post(f"{edge.url}/v1/chat/completions", json=body))
        go_on.set()
        assert {answer.status for answer in begun} == {200}
        for answer in begun:
            await answer.read()
