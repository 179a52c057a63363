"""What an application is told of its client and of the request, and what when it answers wrongly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from edge_gateway.connection import GONE, Connection
from edge_gateway.connections import Bounds, Connections
from tests.processes import wait_until

ASKED = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx-trailer: b\r\n\r\n"
EMPTY = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}


@asynccontextmanager
async def asking(app: ASGIApp) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, ServerState]]:
    """A connection to a server of this application, and who is connected to that."""
    config = uvicorn.Config(app, log_level="critical", ws="none", lifespan="off")
    state, connections = ServerState(), Connections(Bounds(60, 60, 60, 10, 0))
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(connections, config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        async with asyncio.timeout(20):
            yield reader, writer, state
    finally:
        writer.close()
        server.close()


async def test_that_a_client_is_gone_is_told_once():
    told: list[str] = []
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"][GONE](lambda: told.append("gone"))
        while (await receive())["type"] != "http.disconnect":
            pass
        ended.set()

    async with asking(app) as (reader, writer, state):
        # Refused for what comes next, and only then lost.
        writer.write(ASKED + b"no HTTP\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()
        await writer.wait_closed()
        await ended.wait()
        await asyncio.to_thread(wait_until, lambda: not state.connections, "the connection lost")
    assert told == ["gone"]


async def test_an_answer_that_does_not_begin_with_its_head_is_a_fault_that_says_so():
    faults: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(RuntimeError) as fault:
            await send({"type": "http.response.body", "body": b""})
        faults.append(str(fault.value))
        await send(EMPTY)
        await send({"type": "http.response.body", "body": b""})

    async with asking(app) as (reader, writer, _):
        writer.write(ASKED)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    assert "http.response.start" in faults[0]


async def test_trailers_are_no_headers():
    told: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        told.extend(name for name, _ in scope["headers"])
        await send(EMPTY)
        await send({"type": "http.response.body", "body": b""})

    async with asking(app) as (reader, writer, _):
        for request in (CHUNKED, ASKED):
            writer.write(request)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    assert told == [b"host", b"transfer-encoding", b"host"]
