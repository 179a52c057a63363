"""What is more than can be served in time is refused at once, and what costs nothing is not."""

import asyncio
import threading
import time

from edge_gateway.overload import AGREEING, BEAT, LoopLag
from tests.conftest import edge_beside
from tests.fakes import provider as fake
from tests.processes import log_events

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


async def test_one_late_turn_is_no_overload_and_several_in_a_row_are():
    lag = LoopLag()
    watching = asyncio.create_task(lag.watch())

    async def late(turns: int) -> float:
        for _ in range(turns):
            await asyncio.sleep(BEAT)
            time.sleep(5 * BEAT)  # noqa: ASYNC251 - it is the lateness itself
        await asyncio.sleep(0)
        return lag.seconds

    await asyncio.sleep(3 * AGREEING * BEAT)
    on_time = lag.seconds
    assert await late(1) < on_time + BEAT
    assert await late(2 * AGREEING) > 2 * BEAT
    watching.cancel()
