"""The real open-source gateway in several processes: one port, one life, and no process left behind."""

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from gateway_house import (
    CHUNK,
    DONE,
    RunningGateway,
    Upstream,
    connects,
    post,
    running_gateway,
    running_upstream,
    start_gateway,
)
from launcher_house import eventually, is_alive

from tests.ports import free_port
from tests.processes import NEVER


async def streams_under_way(
    stack: AsyncExitStack, gateway: RunningGateway, upstream: Upstream, count: int
) -> list[aiohttp.ClientResponse]:
    """This many streams, each on a connection of its own, whose first event has come."""
    session = await stack.enter_async_context(aiohttp.ClientSession())
    streams = []
    for _ in range(count):
        response = await stack.enter_async_context(post(session, gateway.port, upstream, stream=True))
        assert await response.content.readexactly(len(CHUNK)) == CHUNK
        streams.append(response)
    return streams


async def the_rest(streams: list[aiohttp.ClientResponse]) -> list[bytes | BaseException]:
    return await asyncio.wait_for(asyncio.gather(*(stream.read() for stream in streams), return_exceptions=True), NEVER)


async def refuses(port: int) -> bool:
    return await asyncio.to_thread(eventually, lambda: not asyncio.run(connects("127.0.0.1", port)))


async def test_connections_spread_over_the_workers(node: str, gateway: Path) -> None:
    async with (
        running_upstream() as upstream,
        running_gateway(node, gateway, workers=2) as running,
        AsyncExitStack() as stack,
    ):
        streams = await streams_under_way(stack, running, upstream, 8)
        os.kill(running.workers()[0], signal.SIGKILL)
        upstream.finish.set()
        rest = await the_rest(streams)
        # A worker's streams end with it, so those that broke off were its own.
        assert sum(one == DONE for one in rest) == 4
        assert sum(isinstance(one, aiohttp.ClientError) for one in rest) == 4


async def test_a_killed_worker_is_replaced_and_leaves_no_client_waiting(node: str, gateway: Path) -> None:
    async with (
        running_gateway(node, gateway, workers=2) as running,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
    ):
        over = asyncio.Event()

        async def keep_asking() -> int:
            answers = 0
            while not over.is_set():
                async with asyncio.timeout(NEVER):
                    try:
                        async with session.get(f"http://127.0.0.1:{running.port}/") as response:
                            answers += response.status == 200
                    except aiohttp.ClientError:
                        continue  # it was the killed worker's
            return answers

        callers = [asyncio.create_task(keep_asking()) for _ in range(8)]
        for _ in range(3):
            killed = running.workers()[0]
            os.kill(killed, signal.SIGKILL)
            await running.listens()
            assert len(running.workers()) == 2
            assert killed not in running.workers()
        over.set()
        assert all(answers > 0 for answers in await asyncio.gather(*callers))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("group", [False, True], ids=["to the primary", "to the whole group"])
async def test_a_stop_lets_the_answers_under_way_end(
    node: str, gateway: Path, number: signal.Signals, group: bool
) -> None:
    async with (
        running_upstream() as upstream,
        running_gateway(node, gateway, workers=2) as running,
        AsyncExitStack() as stack,
    ):
        streams = await streams_under_way(stack, running, upstream, 4)
        workers = running.workers()
        for pid in [running.process.pid, *(workers if group else [])]:
            os.kill(pid, number)
        assert await refuses(running.port)
        upstream.finish.set()
        assert await the_rest(streams) == [DONE] * 4
        await stack.aclose()
        assert await asyncio.wait_for(running.process.wait(), NEVER) == 0
        assert not any(map(is_alive, workers))


async def test_a_killed_primary_leaves_no_worker_once_the_answers_under_way_have_ended(
    node: str, gateway: Path
) -> None:
    async with (
        running_upstream() as upstream,
        running_gateway(node, gateway, workers=2) as running,
        AsyncExitStack() as stack,
    ):
        streams = await streams_under_way(stack, running, upstream, 4)
        workers = running.workers()
        running.process.kill()
        assert await refuses(running.port)
        upstream.finish.set()
        assert await the_rest(streams) == [DONE] * 4
        await stack.aclose()
        assert await asyncio.to_thread(eventually, lambda: not any(map(is_alive, workers)))


async def test_a_taken_port_ends_it_with_a_sentence(node: str, gateway: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = await start_gateway(node, gateway, port, asyncio.subprocess.PIPE, PORTKEY_WORKERS="2")
        _, said = await asyncio.wait_for(process.communicate(), NEVER)
    assert process.returncode == 1
    assert f"Cannot listen on 127.0.0.1 port {port} (EADDRINUSE)" in said.decode()


async def test_unless_told_otherwise_it_starts_a_worker_a_core(node: str, gateway: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    port = free_port()
    running = RunningGateway(port, await start_gateway(node, gateway, port, PORTKEY_WORKERS=""))
    for _ in range(cores):
        await running.listens()
    assert len(running.workers()) == (cores if cores > 1 else 0)
    running.process.terminate()
    assert await asyncio.wait_for(running.process.wait(), NEVER) == 0


async def test_one_worker_is_the_first_process_itself(node: str, gateway: Path) -> None:
    async with running_gateway(node, gateway, workers=1) as running:
        assert running.workers() == []


@pytest.mark.parametrize("wish", ["0", "-1", "1.5", "two"])
async def test_a_wrong_number_of_workers_stops_it_with_a_sentence(node: str, gateway: Path, wish: str) -> None:
    process = await start_gateway(node, gateway, free_port(), asyncio.subprocess.PIPE, PORTKEY_WORKERS=wish)
    _, said = await asyncio.wait_for(process.communicate(), NEVER)
    assert process.returncode == 2
    assert said.decode() == f'PORTKEY_WORKERS must be a whole number of processes, 1 or more, not "{wish}".\n'
