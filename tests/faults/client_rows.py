"""Clients that leave, close half, reset or never read: what they asked for is let go, and nobody else notices."""

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from tests.conftest import System
from tests.fakes import provider as fake
from tests.fakes.behaviours import Behaviour
from tests.faults.asking import MESSAGES, PATH, Answer, ask, ask_through, load, until
from tests.faults.edge_log import Since
from tests.faults.machine import resident
from tests.faults.provider_answers import WHOLE, all_models
from tests.faults.provider_streams import BEGUN
from tests.faults.row import Seen
from tests.faults.stage import Stage
from tests.processes import NEVER, at_rest


def connect(url: str, *, receives: int = 0) -> socket.socket:
    """A plain connection to an edge; `receives`: the bytes that it takes unread, 0 for the usual."""
    address = urlsplit(url)
    connection = socket.socket()
    if receives:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    connection.settimeout(NEVER)
    connection.connect((address.hostname, address.port))
    return connection


def request(**body: object) -> bytes:
    """A request as it stands on the wire."""
    content = json.dumps({"model": "auto", "messages": MESSAGES, **body}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nhost: edge\r\nx-session-id: {uuid.uuid4().hex}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


def close(connection: socket.socket) -> None:
    connection.close()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


async def begun_and_silent(request: web.Request, body: dict) -> web.StreamResponse:
    response = await fake.stream(request, BEGUN)
    await asyncio.Event().wait()
    return response


async def leaves(
    stage: Stage, behave: Behaviour, leave: Callable[[socket.socket], None], *, read: bytes = b"", **body: object
) -> Seen:
    """A client that leaves once it has read so much: its provider is let go, and nobody is asked in its place."""
    system = stage.system
    # What was asked before is told by now.
    at_rest(system.url)
    lines = Since(system.edge, "completion")
    all_models(stage, behave)
    connection = connect(system.url)
    connection.sendall(request(**body))
    if read:
        came = b""
        while read not in came:
            came += await asyncio.to_thread(connection.recv, 65536)
    await until(lambda: stage.provider.seen, "the provider asked")
    with contextlib.closing(connection):
        leave(connection)
        left = time.monotonic()
        await until(stage.provider.seen[0].closed.is_set, "the provider let go")
        seconds = time.monotonic() - left
        await until(lines.lines, "the log line")
    (line,) = lines.lines()
    assert (line["outcome"], line["input_tokens"] > 0) == ("interrupted", True)
    assert len(stage.provider.seen) == 1
    return Seen("left", seconds)


async def leaving_before_the_first_byte(stage: Stage) -> Seen:
    return await leaves(stage, fake.silence, close, stream=True)


async def leaving_within_a_stream(stage: Stage) -> Seen:
    return await leaves(stage, begun_and_silent, close, read=b"gr\xc3\xbc", stream=True)


async def resetting_within_a_stream(stage: Stage) -> Seen:
    return await leaves(stage, begun_and_silent, reset, read=b"gr\xc3\xbc", stream=True)


async def leaving_before_a_plain_answer(stage: Stage) -> Seen:
    return await leaves(stage, fake.silence, close)


async def half_closing(stage: Stage) -> Seen:
    """Whoever says that nothing more comes from it has left, as far as the edge can tell: the answer is let go."""
    return await leaves(
        stage, begun_and_silent, lambda one: one.shutdown(socket.SHUT_WR), read=b"gr\xc3\xbc", stream=True
    )


async def leaving_within_its_request(stage: Stage) -> Seen:
    """Nothing is asked of anybody."""
    system = stage.system
    gone = Since(system.edge, "client_gone")
    connection = connect(system.url)
    connection.sendall(request(stream=True)[:-20])
    left = time.monotonic()
    connection.close()
    await until(gone.lines, "the log line")
    assert stage.provider.seen == []
    assert "Traceback" not in system.edge.text()
    return Seen("left", time.monotonic() - left)


def flood(sent: list[int], over: threading.Event) -> Behaviour:
    """Words for ever, as fast as they are taken; `sent` counts their bytes, `over` says when nobody takes them any more."""
    # Mostly what is no text: texts are kept, buffers must not be.
    pad = b"x" * 15_000
    event = b'data: {"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}],"pad":"%s"}\n\n' % pad

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        response = await fake.stream(request, BEGUN)
        try:
            while True:
                await response.write(event)
                sent[0] += len(event)
        finally:
            over.set()

    return behave


async def never_reading(stage: Stage) -> Seen:
    """The edge reads no more of the provider than its client takes, and ends it all after a while."""
    sent, over, seconds = [0], threading.Event(), 2
    with stage.edge(
        EDGE_WRITE_TIMEOUT_SECONDS=str(seconds),
    ) as system:
        await ask(system.url)
        before = resident(system.edge.popen.pid)
        stage.reset()
        stage.provider.script["first"] = flood(sent, over)
        with connect(system.url, receives=4096) as connection:
            connection.sendall(request(stream=True))
            await until(lambda: stage.provider.seen, "the provider asked")
            started = time.monotonic()
            async with load(system.url, clients=2, model="fake/second") as others:
                await others.reaches(20)
                await until(over.is_set, "the stream cut", 20)
        took = time.monotonic() - started
        grown = resident(system.edge.popen.pid) - before
    assert others.failed() == []
    assert grown < 16 * 2**20, f"the edge grew by {grown >> 20} MiB"
    assert sent[0] < 64 * 2**20, f"{sent[0] >> 20} MiB were read of the provider"
    return Seen("cut", took)


async def slowly_reading(stage: Stage) -> Seen:
    """A client that takes its time, yet takes, gets every byte."""
    stage.provider.script["first"] = fake.saying("word " * 20_000)
    with stage.edge(EDGE_WRITE_TIMEOUT_SECONDS="20") as system, connect(system.url, receives=4096) as connection:
        started = time.monotonic()
        connection.sendall(request(stream=True))
        came = b""
        while b"[DONE]" not in came:
            piece = await asyncio.to_thread(connection.recv, 65536)
            assert piece, "the connection ended"
            came += piece
            if len(came) % 5 == 0:
                await asyncio.sleep(0.005)  # what it is slow by
    assert came.count(b'"content"') == -(-5 * 20_000 // 7)
    return Seen("200 whole", time.monotonic() - started)


async def asking_on_an_idle_connection(stage: Stage) -> Seen:
    """Clients keep connections for a while; one that asks just as the edge closes it would see no answer."""
    system: System = stage.system

    async def ask_again(number: int) -> list[Answer]:
        async with aiohttp.ClientSession() as session:
            first = await ask_through(session, system.url)
            await asyncio.sleep(4.75 + number / 100)
            return [first, await ask_through(session, system.url, stream=True)]

    pairs = await asyncio.gather(*(ask_again(number) for number in range(50)))
    lost = [again.told() for _, again in pairs if again.body != WHOLE]
    assert lost == []
    return Seen("200", max(answer.seconds for pair in pairs for answer in pair))
