"""What is more than can be served in time is refused at once, and what costs nothing is not."""

import asyncio
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_gateway.overload import BURST, MOST_WAITING, LoopLag
from tests.conftest import System, edge_beside, router_beside
from tests.fakes import provider as fake
from tests.processes import log_events, wait_until

ASK = {"model": "fake/first", "messages": [{"role": "user", "content": "hi"}], "stream": True}


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
        async with http.post(f"{edge.url}/v1/chat/completions", json=ASK) as again:
            assert again.status == 200
            await again.read()
        assert len(log_events(edge.edge, "overloaded")) == 1


def test_a_late_turn_now_and_then_is_no_lag_and_many_are():
    lag = LoopLag()
    for tenth in range(10):
        lag.look(tenth / 10, 0.07 if tenth == 5 else 0.001)
    assert lag.seconds < 0.003
    for tenth in range(10, 20):
        lag.look(tenth / 10, 0.07)
    assert lag.seconds > 0.02
    # One of a second is met by all who come in it, however many quick ones follow.
    for hundredth in range(200, 250):
        lag.look(hundredth / 100, 1.0 if hundredth == 200 else 0.0)
    assert lag.seconds > 0.4
    lag.look(10.0, 0.0)
    assert lag.seconds == pytest.approx(0)


@dataclass
class Frozen:
    """An edge before a router that does not answer, so that requests wait in it, and an event loop as late as is said."""

    system: System
    edge: System


@contextmanager
def frozen(system: System, portkey: int, config: Path, router_config: Path, most_lag: str) -> Iterator[Frozen]:
    with (
        router_beside(system, router_config) as routed,
        edge_beside(routed, portkey, config, EDGE_MAX_LAG_SECONDS=most_lag, EDGE_ROUTER_DEADLINE_SECONDS="20") as edge,
    ):
        routed.router.popen.send_signal(signal.SIGSTOP)
        try:
            yield Frozen(routed, edge)
        finally:
            routed.router.popen.send_signal(signal.SIGCONT)


async def ask(http, url: str) -> int:
    body = {"model": "auto", "messages": [{"role": "user", "content": uuid.uuid4().hex}], "stream": True}
    async with http.post(f"{url}/v1/chat/completions", json=body) as answer:
        await answer.read()
        return answer.status


async def test_who_comes_while_others_have_been_waiting_is_refused_and_they_are_served(
    http, system, portkey, edge_config, router_config
):
    # Any lateness counts.
    with frozen(system, portkey, edge_config, router_config, "0.000000001") as house:
        asking = [asyncio.create_task(ask(http, house.edge.url)) for _ in range(MOST_WAITING)]
        async with asyncio.timeout(15):
            while not any(task.done() for task in asking):
                asking.append(asyncio.create_task(ask(http, house.edge.url)))
                await asyncio.sleep(0.05)
        house.system.router.popen.send_signal(signal.SIGCONT)
        statuses = await asyncio.gather(*asking)
        assert statuses[:MOST_WAITING] == [200] * MOST_WAITING
        assert 503 in statuses
        assert await ask(http, house.edge.url) == 200


async def test_a_slow_router_is_no_overload_as_long_as_the_edge_itself_is_quick(
    http, system, portkey, edge_config, router_config
):
    with frozen(system, portkey, edge_config, router_config, "60") as house:
        asking = [asyncio.create_task(ask(http, house.edge.url)) for _ in range(2 * MOST_WAITING)]
        await asyncio.wait(asking, timeout=2 * BURST)
        asking += [asyncio.create_task(ask(http, house.edge.url)) for _ in range(MOST_WAITING)]
        await asyncio.wait(asking, timeout=BURST)
        house.system.router.popen.send_signal(signal.SIGCONT)
        assert set(await asyncio.gather(*asking)) == {200}


async def test_requests_that_wait_for_their_model_are_no_overload(http, system, portkey, edge_config):
    go_on = threading.Event()

    async def hold(request, body):
        await asyncio.to_thread(go_on.wait)
        return await fake.stream(request, fake.EVENTS)

    system.provider.script["first"] = system.provider.script["second"] = hold
    with edge_beside(system, portkey, edge_config, EDGE_MAX_LAG_SECONDS="0.000000001") as edge:
        asking = [asyncio.create_task(ask(http, edge.url)) for _ in range(MOST_WAITING - 1)]
        await asyncio.to_thread(wait_until, lambda: len(system.provider.seen) >= MOST_WAITING - 1, "all asked")
        asking += [asyncio.create_task(ask(http, edge.url)) for _ in range(MOST_WAITING - 1)]
        await asyncio.to_thread(wait_until, lambda: len(system.provider.seen) >= 2 * MOST_WAITING - 2, "more asked")
        asking += [asyncio.create_task(ask(http, edge.url)) for _ in range(MOST_WAITING - 1)]
        await asyncio.wait(asking, timeout=2 * BURST)
        go_on.set()
        assert set(await asyncio.gather(*asking)) == {200}
