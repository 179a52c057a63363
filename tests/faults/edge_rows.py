"""The edge itself is stopped, frozen, short of files or overrun."""

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from aiohttp import web

from tests.conftest import REMEMBERING_NOTHING, System
from tests.fakes import provider as fake
from tests.fakes.behaviours import Behaviour
from tests.faults.asking import Answer, ask, until
from tests.faults.client_rows import connect
from tests.faults.machine import open_files
from tests.faults.provider_answers import WHOLE, all_models
from tests.faults.row import Seen
from tests.faults.stage import Stage
from tests.processes import NEVER, PATIENT_EDGE, Process, free_port, http_ok


def paced(seconds: float) -> Behaviour:
    """A stream whose events, or a plain answer that, takes so long in all."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        if not body.get("stream"):
            await asyncio.sleep(seconds)
            return await fake.answer(request, body)
        response = await fake.stream(request, fake.EVENTS[:1])
        for event in fake.EVENTS[1:]:
            await asyncio.sleep(seconds / (len(fake.EVENTS) - 1))
            await response.write(event)
        return response

    return behave


async def asked(stage: Stage, system: System, count: int) -> list[asyncio.Task[Answer]]:
    """So many streams, all of them under way."""
    tasks = [asyncio.create_task(ask(system.url, stream=True)) for _ in range(count)]
    await until(lambda: len(stage.provider.seen) >= count, "all streams under way")
    return tasks


async def refused(url: str) -> bool:
    """Whether nobody takes connections there any more."""
    address = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(address.hostname, address.port)
    except OSError:
        return True
    writer.close()
    return False


def held(go_on: threading.Event) -> Behaviour:
    """A stream that has begun, and goes on when that is told."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        response = await fake.stream(request, fake.EVENTS[:1])
        await asyncio.to_thread(go_on.wait, NEVER)
        for event in fake.EVENTS[1:]:
            await response.write(event)
        return response

    return behave


async def stopped_with_streams(stage: Stage) -> Seen:
    go_on = threading.Event()
    all_models(stage, held(go_on))
    with stage.edge(EDGE_DRAIN_SECONDS="60") as system:
        with connect(system.url) as idle:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nhost: edge\r\n\r\n")
            came = b""
            while not came.endswith(b"}"):
                came += await asyncio.to_thread(idle.recv, 65536)
            tasks = await asked(stage, system, 20)
            system.edge.popen.send_signal(signal.SIGTERM)
            async with asyncio.timeout(NEVER):
                while not await refused(system.url):
                    pass
            assert await asyncio.to_thread(idle.recv, 1) == b"", "the idle connection is still open"
            assert not any(task.done() for task in tasks), "a stream was cut"
            go_on.set()
        answers = await asyncio.gather(*tasks)
        code = await asyncio.to_thread(system.edge.popen.wait, NEVER)
    assert [answer.body for answer in answers] == [WHOLE] * 20, [answer.told() for answer in answers]
    assert code == 0
    return Seen("200", max(answer.seconds for answer in answers))


async def stopped_with_streams_that_take_too_long(stage: Stage) -> Seen:
    stage.provider.script = {"first": paced(40), "second": fake.silence}
    with stage.edge(EDGE_DRAIN_SECONDS="1") as system:
        tasks = await asked(stage, system, 5)
        waiting = asyncio.create_task(ask(system.url, model="fake/second", stream=True))
        await until(lambda: len(stage.provider.seen) >= 6, "all requests under way")
        started = time.monotonic()
        system.edge.popen.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*tasks)
        begun_not = await waiting
        code = await asyncio.to_thread(system.edge.popen.wait, NEVER)
        took = time.monotonic() - started
    assert [answer.code for answer in answers] == ["server_shutdown"] * 5, [answer.told() for answer in answers]
    assert not any(answer.broken or b"[DONE]" in answer.body for answer in answers)
    assert (begun_not.status, begun_not.code) == (503, "server_shutdown")
    assert code == 0
    return Seen(answers[0].told(), took)


async def frozen_for_two_seconds(stage: Stage) -> Seen:
    """Whatever blocks its loop, streams go on where they were, and it answers again."""
    all_models(stage, paced(2))
    with stage.edge() as system:
        tasks = await asked(stage, system, 10)
        os.kill(system.edge.popen.pid, signal.SIGSTOP)
        await asyncio.sleep(2)
        os.kill(system.edge.popen.pid, signal.SIGCONT)
        answers = await asyncio.gather(*tasks)
        assert [answer.body for answer in answers] == [WHOLE] * 10, [answer.told() for answer in answers]
        stage.reset()
        await served_again(system)
    return Seen("200", max(answer.seconds for answer in answers))


async def served_again(system: System) -> None:
    """Wait until a request is answered as usual; until then it may be refused, and with words."""
    end = time.monotonic() + NEVER
    while (answer := await ask(system.url)).status != 200:
        assert (answer.status, answer.code) == (503, "overloaded"), answer.told()
        assert time.monotonic() < end, "not served again"


@contextmanager
def with_few_files(stage: Stage, limit: int) -> Iterator[System]:
    """An edge that may have so many files and sockets open."""
    port = free_port()
    env = {
        **PATIENT_EDGE,
        **REMEMBERING_NOTHING,
        "EDGE_LISTEN": f"127.0.0.1:{port}",
        "EDGE_ROUTER": f"dns:///127.0.0.1:{stage.system.router_port}",
        "EDGE_CONFIG": str(stage.edge_config),
        "PORTKEY_BASE_URL": f"http://127.0.0.1:{stage.portkey}/v1",
    }
    edge = Process(["prlimit", f"--nofile={limit}:{limit}", sys.executable, "-m", "edge_gateway"], env, "few-files")
    try:
        edge.ready_when(lambda: http_ok(f"http://127.0.0.1:{port}/readyz"))
        yield System(f"http://127.0.0.1:{port}", stage.system.router_port, stage.provider, stage.system.router, edge)
    finally:
        edge.stop()


async def no_files_left(stage: Stage) -> Seen:
    """Connections beyond its means are refused or wait; once they are gone it serves as before, with nothing left open."""
    with with_few_files(stage, 64) as system:
        assert (await ask(system.url)).status == 200
        with ExitStack() as held:
            for _ in range(120):
                try:
                    held.enter_context(connect(system.url))
                except OSError:
                    break
            try:
                crowded = await asyncio.wait_for(ask(system.url), 5)
                assert crowded.broken or crowded.status in (200, 503), crowded.told()
            except TimeoutError:
                pass
            assert system.edge.popen.poll() is None
        started = time.monotonic()
        while (answer := await ask(system.url, stream=True)).status != 200:
            assert time.monotonic() < started + NEVER, answer.told()
        took = time.monotonic() - started
        assert answer.body == WHOLE
        await until(lambda: open_files(system.edge.popen.pid) < 50, "the sockets given back")
    return Seen(answer.told(), took)


async def overrun(stage: Stage) -> Seen:
    """Three times as many as it takes: the excess hears so at once, the others are served, and so is who comes after."""
    go_on = threading.Event()
    all_models(stage, held(go_on))
    with stage.edge(EDGE_MAX_REQUESTS="20") as system:
        asking = [asyncio.create_task(ask(system.url, stream=True)) for _ in range(60)]
        # The excess does not wait for those who are served.
        await until(lambda: sum(task.done() for task in asking) >= 40, "40 refusals")
        go_on.set()
        answers = await asyncio.gather(*asking)
        served = [answer for answer in answers if answer.body == WHOLE]
        shed = [answer for answer in answers if answer.status != 200]
        assert len(served) == 20, f"{len(served)} were served"
        assert {(answer.status, answer.code) for answer in shed} == {(503, "overloaded")}
        assert {answer.headers["retry-after"] for answer in shed} == {"1"}
        assert len(stage.provider.seen) == 20
        stage.reset()
        # The places are free a moment after the last bytes.
        await served_again(system)
    return Seen(shed[0].told(), max(answer.seconds for answer in shed))


async def port_taken(stage: Stage) -> Seen:
    """It says so and ends, in place of trying for ever."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        env = {"EDGE_LISTEN": f"127.0.0.1:{taken.getsockname()[1]}", "EDGE_CONFIG": str(stage.edge_config)}
        started = time.monotonic()
        edge = Process([sys.executable, "-m", "edge_gateway"], env, "taken")
        try:
            code = await asyncio.to_thread(edge.popen.wait, NEVER)
        finally:
            edge.stop()
    assert code != 0
    assert "address already in use" in edge.text().lower()
    return Seen("ended", time.monotonic() - started)
