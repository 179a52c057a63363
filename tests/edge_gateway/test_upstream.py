"""What a server may answer, byte by byte: each answer is told as it is, and no connection is used again that should not be."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_gateway.errors import GatewayError
from edge_gateway.portkey.client import BrokenOff, Portkey, ShuttingDown, Stalled, Upstream
from edge_gateway.portkey.config import Plan
from edge_gateway.upstream import Address, Broken, Pool
from tests.certificates import authority, issue

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
WHOLE = OK + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n5;note=1\r\nhello\r\n6\r\n world\r\n0\r\n"
LARGE = 3_000_000
SOON = 60.0
# Turns of the event loop in which a server that nobody stops has sent all of it.
TURNS = 1_000


@dataclass
class Server:
    """Gives each request the next of the answers, in pieces; None in place of one closes the connection."""

    answers: list[list[bytes | None]]
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                for piece in self.answers.pop(0):
                    if piece is None:
                        return
                    writer.write(piece)
                    await writer.drain()
                    # The client's turn: a piece of its own on the way, too.
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def serving(*answers: list[bytes | None], tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(list(answers))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


async def ask(portkey: Portkey, body: bytes = b"{}", config: str = "{}", total: float = SOON) -> Upstream:
    wait, deadline = SOON, asyncio.get_running_loop().time() + total
    return await portkey.send(Plan("/chat/completions", config, ("a/b",), body, {}, 1), {}, wait, deadline)


@asynccontextmanager
async def asking(server: Server, scheme: str = "http", idle: float = SOON) -> AsyncIterator[Portkey]:
    portkey = Portkey(f"{scheme}://localhost:{server.port}/v1", "", idle)
    try:
        yield portkey
    finally:
        await portkey.close()


@pytest.mark.parametrize(
    ("answer", "said", "again"),
    [
        ([WHOLE], b"hello", True),
        ([WHOLE[:20], WHOLE[20:70], WHOLE[70:]], b"hello", True),
        ([CHUNKED + b"\r\n"], b"hello world", True),
        ([CHUNKED[:-12], CHUNKED[-12:], b"Trailer: 1\r\n\r\n"], b"hello world", True),
        ([OK + b"\r\nhello", b" world", None], b"hello world", False),
        ([b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + WHOLE], b"hello", True),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", WHOLE], b"hello", True),
        ([WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")], b"hello", False),
        ([WHOLE.replace(b"1.1", b"1.0", 1)], b"hello", False),
        ([WHOLE + WHOLE.replace(b"200", b"500")], b"hello", False),
        ([WHOLE + b"HTTP/1"], b"hello", False),
        ([WHOLE + b"\x00\x01"], b"hello", False),
    ],
    ids=[
        "by length", "in pieces", "in chunks", "with a trailer", "to the connection's end", "early hints", "continue",
        "closing", "of HTTP/1.0", "two at once", "the beginning of another", "bytes of nothing",
    ],
)  # fmt: skip
async def test_an_answer_is_read_to_its_end_and_the_connection_used_again_where_it_may_be(answer, said, again):
    async with serving(answer, [WHOLE]) as server, asking(server) as portkey:
        first = await ask(portkey, b'{"a":1}')
        assert (first.status, first.content_type, await first.read(1000)) == (200, "application/json", said)
        second = await ask(portkey)
        assert (second.status, await second.read(1000)) == (200, b"hello")
        assert server.connections == (1 if again else 2)
    assert server.requests[0].endswith(b'\r\n\r\n{"a":1}')
    assert server.requests[0].startswith(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost:")


async def test_a_connection_that_the_server_is_just_closing_is_used_or_replaced_and_never_taken_for_a_server_that_is_away():
    for turns in range(30):
        async with serving([WHOLE, None], [WHOLE]) as server, asking(server) as portkey:
            assert await (await ask(portkey)).read(1000) == b"hello"
            for _ in range(turns):
                await asyncio.sleep(0)
            # A request may still cross with the connection's end.
            with contextlib.suppress(BrokenOff):
                assert await (await ask(portkey)).read(1000) == b"hello"


@pytest.mark.parametrize(
    "answer",
    [
        [None],
        [WHOLE[:30], None],
        [b"Not HTTP at all\r\n\r\n"],
        [OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"],
        [OK + b"X: " + b"x" * 10_000 + b"\r\n\r\n"],
        [OK + b"".join(b"X-%d: 1\r\n" % number for number in range(200)) + b"\r\n"],
        [OK] + [b"X: " + b"x" * 8_000 + b"\r\n"] * 20,
    ],
    ids=["gone", "half a head", "no HTTP", "two lengths", "a long header", "many headers", "a head without an end"],
)
async def test_what_is_no_answer_is_told_as_such(answer):
    async with serving(answer) as server, asking(server) as portkey:
        with pytest.raises(BrokenOff):
            await ask(portkey)


@pytest.mark.parametrize(
    "answer",
    [
        [WHOLE[:-1], None],
        [CHUNKED, None],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"no length\r\n"],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"5;", *[b"x" * 100_000] * 4],
    ],
    ids=["short", "without the last chunk", "no chunk", "a chunk's line without an end"],
)
async def test_an_answer_that_breaks_off_gives_what_came_and_says_so(answer):
    async with serving(answer) as server, asking(server) as portkey:
        upstream, got = await ask(portkey), bytearray()
        with pytest.raises(BrokenOff):
            await _into(got, upstream)
        assert got.startswith(b"hell")


async def test_nobody_is_there():
    async with serving() as server:
        port = server.port
    portkey = Portkey(f"http://127.0.0.1:{port}/v1", "", SOON)
    for url in ("http://127.0.0.1:99999/v1", "http://no.such.name.invalid/v1", "nonsense"):
        with pytest.raises(GatewayError, match="reach"):
            await ask(Portkey(url, "", SOON))
    with pytest.raises(GatewayError) as told:
        await ask(portkey)
    assert told.value.code == "upstream_unavailable"


async def test_a_name_is_looked_up_once_for_all_who_wait_for_it(monkeypatch):
    loop = asyncio.get_running_loop()
    look, looks, go_on = loop.getaddrinfo, [], asyncio.Event()

    async def slowly(*args, **options):
        looks.append(args)
        await go_on.wait()
        return await look(*args, **options)

    async with serving(*[[WHOLE]] * 20) as server, asking(server) as portkey:
        monkeypatch.setattr(loop, "getaddrinfo", slowly)
        asked = [asyncio.ensure_future(ask(portkey)) for _ in range(20)]
        for _ in range(TURNS):
            await asyncio.sleep(0)
        # One that leaves takes nothing from the others.
        asked.pop().cancel()
        go_on.set()
        assert [await (await one).read(10) for one in asked] == [b"hello"] * 19
        assert len(looks) == 1


async def test_a_name_that_nobody_tells_is_not_waited_for_longer_than_a_connection(monkeypatch):
    async def never(*args, **options):
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    pool = Pool(Address("http://localhost:1/v1"), connect_seconds=0.1, idle_seconds=SOON)
    async with asyncio.timeout(SOON):
        with pytest.raises(Broken):
            await pool.connect()


@pytest.mark.parametrize("value", ["a\r\nx-own: 1", "a\nb", "a\0b", "\x7f", "\ud800"])
async def test_a_header_that_would_be_two_is_not_sent_and_the_log_names_it(value, capfd):
    async with serving([WHOLE]) as server, asking(server) as portkey:
        with pytest.raises(GatewayError):
            await ask(portkey, config=value)
        assert server.requests == []
    logged = json.loads(capfd.readouterr().err)
    assert {field: told for field, told in logged.items() if field != "timestamp"} == {
        "event": "unsendable_header", "level": "warning", "header": "x-portkey-config",
    }  # fmt: skip


async def test_a_reader_that_is_behind_stops_the_server_and_gets_all():
    whole = bytes(range(256)) * (LARGE // 256)
    async with (
        serving([OK + b"Content-Length: %d\r\n\r\n" % len(whole), whole], [WHOLE]) as server,
        asking(server) as portkey,
    ):
        upstream = await ask(portkey, b"x" * LARGE)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        got = bytearray(await upstream.receive())
        assert len(got) < LARGE / 4, "it was taken in advance"
        await _into(got, upstream)
        assert got == whole
        assert len(server.requests[0]) > LARGE
        await (await ask(portkey)).read(10)
        assert server.connections == 1


async def _into(got: bytearray, upstream: Upstream) -> None:
    while chunk := await upstream.receive():
        got += chunk


async def test_what_is_left_unread_is_not_taken_for_the_next_answer():
    async with (
        serving([OK + b"Content-Length: 10\r\n\r\nhello"], [WHOLE]) as server,
        asking(server) as portkey,
    ):
        first = await ask(portkey)
        first.close()
        with pytest.raises(BrokenOff):
            await _into(bytearray(), first)
        assert await (await ask(portkey)).read(10) == b"hello"
        assert server.connections == 2


@pytest.mark.parametrize(("end", "error"), [(False, Stalled), (True, ShuttingDown)], ids=["too slow", "shut down"])
async def test_silence_has_an_end(end: bool, error: type[Exception]):
    silent = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 10\r\n\r\nhello")
        await silent.wait()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    portkey = Portkey(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", "", SOON if end else 0.5)
    upstream = await ask(portkey)
    assert await upstream.receive() == b"hello"
    if end:
        asyncio.get_running_loop().call_soon(portkey.cut)
    with pytest.raises(error):
        await upstream.receive()
    upstream.close()
    silent.set()
    await portkey.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(("end", "error"), [(False, Stalled), (True, ShuttingDown)], ids=["overdue", "shut down"])
async def test_an_answer_has_an_end_for_a_reader_that_is_behind_too(end: bool, error: type[Exception]):
    async with serving([OK + b"Content-Length: 10\r\n\r\nhello"]) as server, asking(server) as portkey:
        upstream = await ask(portkey, total=SOON if end else 1.5)
        over = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0 if end else 1.5, over.set_result, None)
        await over
        if end:
            portkey.cut()
        with pytest.raises(error) as told:
            await upstream.receive()
        assert end or told.value.overdue
        upstream.close()


@pytest.mark.parametrize("known", [True, False])
async def test_a_server_with_a_certificate_has_to_be_the_right_one(tmp_path: Path, monkeypatch, known: bool):
    mine = authority(tmp_path)
    pair = issue(tmp_path, "server", mine if known else authority(tmp_path, "another"))
    monkeypatch.setenv("SSL_CERT_FILE", str(mine.cert))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    async with serving([WHOLE], [CHUNKED + b"\r\n"], tls=context) as server, asking(server, "https") as portkey:
        if not known:
            with pytest.raises(GatewayError):
                await ask(portkey)
            return
        assert await (await ask(portkey, b"x" * LARGE)).read(100) == b"hello"
        assert await (await ask(portkey)).read(100) == b"hello world"
        assert server.connections == 1
