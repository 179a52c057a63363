"""The loss of a replica costs no call, with both clients; nor does one that comes back."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from router_client import Question, Router, Unavailable
from tests.processes import Process, free_port, start_router

CODE = Question(profile="auto")


@pytest.fixture
def replicas() -> Iterator[list[tuple[int, Process]]]:
    ports = [free_port(), free_port()]
    started = [(port, start_router(port)) for port in ports]
    yield started
    for _, process in started:
        process.stop()


def decided(port: int) -> int:
    with Router(f"127.0.0.1:{port}") as router:
        return router.savings().total.decisions


async def test_a_replica_that_is_killed_costs_no_call(client, replicas):
    (first, doomed), (second, _) = replicas
    async with client(f"ipv4:127.0.0.1:{first},127.0.0.1:{second}") as router:
        while not (await asyncio.to_thread(decided, first) and await asyncio.to_thread(decided, second)):
            await router.select(CODE)
        asking = [asyncio.ensure_future(router.select(CODE, timeout=20)) for _ in range(200)]
        await asking[0]
        doomed.popen.send_signal(signal.SIGKILL)
        assert all(decision.model for decision in await asyncio.gather(*asking))
        before = await asyncio.to_thread(decided, second)
        await asyncio.gather(*(router.select(CODE) for _ in range(20)))
        assert await asyncio.to_thread(decided, second) == before + 20


async def test_a_watch_whose_router_stops_ends_and_begins_anew_where_another_is(client, replicas):
    (first, stopped), _ = replicas
    async with client(f"127.0.0.1:{first}") as router:
        async with router.watch() as events:
            stopped.stop()
            try:
                async for event in events:
                    raise AssertionError(event)
            except Unavailable:
                pass
        with pytest.raises(Unavailable):
            async with router.watch() as events:
                await anext(events)
        again = start_router(first)
        try:

            async def watched() -> bool:
                try:
                    async with router.watch() as anew:
                        await router.select(CODE)
                        return bool(await anext(anew))
                except Unavailable:
                    return False

            for _ in range(100):
                if await watched():
                    break
                await asyncio.sleep(0.1)
            else:
                pytest.fail("the router that is back is not watched")
        finally:
            again.stop()
