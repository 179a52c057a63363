"""What an application is told of its client and request, and when it answers wrongly; what clients are whom nobody serves."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from edge_gateway.server.connection import GONE, Connection
from edge_gateway.server.connections import Bounds, Connections
from edge_gateway.server.overload import Shedding, Valve
from tests.processes import NEVER, wait_until

ASKED = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx-trailer: b\r\n\r\n"
# Seconds.
IDLE = 0.2
EMPTY = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}


@asynccontextmanager
async def asking(
    app: ASGIApp,
    refuses: Callable[[Mapping[str, Any]], bool] = lambda _: False,
    idle: float = 60,
    bounds: Bounds = Bounds(60, 60, 60, 10, 0),  # noqa: B008 - frozen
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, ServerState]]:
    """A connection to a server of this application, and who is connected to that."""
    config = uvicorn.Config(app, log_level="critical", ws="none", lifespan="off", timeout_keep_alive=idle)
    state, connections = ServerState(), Connections(bounds)
    watching = asyncio.create_task(connections.watch())
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(connections, refuses, config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        async with asyncio.timeout(NEVER):
            yield reader, writer, state
    finally:
        writer.close()
        server.close()
        watching.cancel()


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


def post(path: str, body: bytes = b"x", *headers: bytes) -> bytes:
    head = [b"POST %b HTTP/1.1" % path.encode(), b"host: a", b"content-length: %d" % len(body), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


async def answered(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """One answer with a length: its status, headers and body."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def nobody(scope: Scope, receive: Receive, send: Send) -> None:
    await send(EMPTY)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def test_what_there_is_no_room_for_is_refused_in_its_form_and_what_comes_next_is_served():
    async with asking(nobody, lambda scope: scope["path"] != "/served") as (reader, writer, _):
        for path in ("/v1/chat/completions", "/v1/messages", "/served"):
            # The body comes after the answer, and is no request.
            head, _, body = post(path, ASKED).partition(b"\r\n\r\n")
            writer.write(head + b"\r\n\r\n")
            if path == "/served":
                writer.write(body)
            status, headers, said = await answered(reader)
            if path == "/served":
                assert (status, said) == (200, b"")
                continue
            assert (status, headers["retry-after"], headers["content-type"]) == (503, "1", "application/json")
            assert "connection" not in headers
            error = json.loads(said)["error"]
            assert error.get("code") == "overloaded" if "chat" in path else error["type"] == "overloaded_error"
            writer.write(body)


async def test_requests_refused_while_one_is_served_are_answered_after_it_each_in_its_turn():
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await go_on.wait()
        await nobody(scope, receive, send)

    many = 500
    async with asking(app, lambda scope: scope["path"].startswith("/no")) as (reader, writer, _):
        writer.write(post("/first") + b"".join(post(f"/no{number}") for number in range(many)) + post("/last"))
        await begun.wait()
        go_on.set()
        statuses = [(await answered(reader))[0] for _ in range(many + 2)]
    assert statuses == [200, *[503] * many, 200]


@pytest.mark.parametrize("head", [b"connection: close", b"expect: 100-continue"])
async def test_a_refused_client_that_would_not_ask_again_here_reads_why_before_the_connection_ends(head):
    async with asking(nobody, lambda _: True) as (reader, writer, state):
        request = post("/v1/chat/completions", b"x" * 100, head)
        # Half of the body is still to come.
        writer.write(request[:-50])
        status, headers, _ = await answered(reader)
        assert (status, headers["connection"]) == (503, "close")
        assert await reader.read() == b""
        writer.close()
        await asyncio.to_thread(wait_until, lambda: not state.connections, "the connection closed")


def stands_still(connection: Any) -> bool:
    """Whether its client is neither read nor written to."""
    return connection.flow.read_paused and connection.flow.write_paused


async def test_who_asks_on_and_takes_no_refusal_is_read_no_further():
    asked = 0

    def refuses(_: Mapping[str, Any]) -> bool:
        nonlocal asked
        asked += 1
        return True

    async with asking(nobody, refuses) as (reader, writer, state):
        # More than all buffers on the way hold.
        many, request = 50_000, post("/v1/chat/completions")
        writer.write(request * many)
        await asyncio.to_thread(
            wait_until, lambda: any(map(stands_still, tuple(state.connections))), "the client not read"
        )
        assert asked < many
        first = await reader.readuntil(b"}}")
        others = await reader.readexactly((many - 1) * len(first))
    assert (asked, (first + others).count(b"HTTP/1.1 503")) == (many, many)


async def test_a_long_answer_is_taken_to_its_end_before_the_next_is_refused():
    whole = b"x" * 16_000_000

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        head = {**EMPTY, "headers": [(b"content-length", b"%d" % len(whole))]}
        await send(head)
        await send({"type": "http.response.body", "body": whole, "more_body": False})

    async with asking(app, lambda scope: scope["path"] == "/no") as (reader, writer, _):
        writer.write(post("/yes") + post("/no"))
        assert (await answered(reader))[2] == whole
        assert (await answered(reader))[0] == 503


async def test_a_stream_that_came_with_a_refused_request_is_not_taken_for_an_idle_connection():
    parts = 3

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(parts):
            # Each of them as long as a connection may idle.
            await asyncio.sleep(IDLE)
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async with asking(app, lambda scope: scope["path"] == "/no", idle=IDLE) as (reader, writer, _):
        writer.write(post("/no") + post("/yes"))
        assert (await answered(reader))[0] == 503
        assert (await reader.readuntil(b"0\r\n\r\n")).count(b"part") == parts


async def test_after_a_refusal_a_connection_may_idle_as_after_any_answer():
    bounds = Bounds(0.5, 60, 60, 10, 0)
    async with asking(nobody, lambda scope: scope["path"] == "/no", idle=60, bounds=bounds) as (reader, writer, _):
        for body_first in (True, False):
            request = post("/no")
            writer.write(request if body_first else request[:-1])
            assert (await answered(reader))[0] == 503
            writer.write(b"" if body_first else request[-1:])
            await asyncio.sleep(2 * bounds.header_seconds)
            writer.write(post("/yes"))
            assert (await answered(reader))[0] == 200


async def test_nothing_is_served_that_came_with_the_last_request_of_a_connection():
    served: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        served.append(scope["path"])
        await nobody(scope, receive, send)

    async with asking(app, lambda scope: scope["path"] == "/no") as (reader, writer, state):
        writer.write(post("/no", b"x", b"expect: 100-continue") + post("/yes"))
        assert (await answered(reader))[0] == 503
        assert await reader.read() == b""
        writer.close()
        await asyncio.to_thread(wait_until, lambda: not state.connections, "the connection closed")
    assert served == []


async def test_a_request_is_not_refused_for_the_one_before_it_on_its_connection():
    shedding = Shedding(Valve(60), 1, lambda: 0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await shedding.serve(nobody, scope, receive, send)

    async with asking(app, shedding.refuses) as (reader, writer, _):
        writer.write(post("/one") + post("/two") + post("/three"))
        assert [(await answered(reader))[0] for _ in range(3)] == [200, 200, 200]
