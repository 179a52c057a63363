"""What a client does while its answer is awaited or comes: it leaves, and sends more than it should."""

import asyncio
import fcntl
import json
import signal
import socket
import struct
import termios
from collections.abc import Callable, Iterator

import pytest
from aiohttp import web

from tests.conftest import System
from tests.fakes import provider as fake
from tests.processes import NEVER, at_rest, log_events, wait_until

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
# More than is read ahead of whoever serves a request, and less than comes in one read.
LARGE = 200_000
# What makes a socket's buffers grow, so that all of that has room in them.
GROWING = 4_000_000

Ask = Callable[[int], socket.socket]


def arrived(client: socket.socket) -> bool:
    """Whether all that was sent lies with the other side's kernel."""
    return struct.unpack("i", fcntl.ioctl(client, termios.TIOCOUTQ, b"\0" * 4)) == (0,)


@pytest.fixture
def ask(system: System) -> Iterator[Ask]:
    """Asks, with a prompt of so many characters, a model that does not answer; the edge finds the whole body at once."""
    system.provider.script = dict.fromkeys(("first", "second"), fake.silence)
    host, port = system.url.removeprefix("http://").split(":")
    clients: list[socket.socket] = []

    def ask(characters: int) -> socket.socket:
        body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "x" * characters}]}).encode()
        client = socket.create_connection((host, int(port)))
        clients.append(client)
        client.settimeout(NEVER)
        client.sendall(HEAD % (b"text/plain", GROWING) + b"x" * GROWING)
        assert client.recv(65536).startswith(b"HTTP/1.1 400")
        # The head is answered by a word that says that the body is waited for.
        client.sendall((HEAD % (b"application/json", len(body)))[:-2] + b"expect: 100-continue\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 100")
        system.edge.popen.send_signal(signal.SIGSTOP)
        try:
            client.sendall(body)
            wait_until(lambda: arrived(client), "the body arrived")
        finally:
            system.edge.popen.send_signal(signal.SIGCONT)
        wait_until(lambda: bool(system.provider.seen), "the provider was asked")
        return client

    yield ask
    for client in clients:
        client.close()


def noticed(system: System, before: int) -> None:
    """Its provider is let go because the client left, not because it took its time."""
    wait_until(system.provider.seen[0].closed.is_set, "the provider was let go")
    wait_until(lambda: len(log_events(system.edge, "completion")) > before, "the line of the log")
    assert [entry["outcome"] for entry in log_events(system.edge, "completion")[before:]] == ["interrupted"]


@pytest.mark.parametrize("characters", [100, LARGE])
def test_a_client_that_has_sent_its_request_is_noticed_when_it_leaves(ask, system, characters):
    at_rest(system.url)
    before = len(log_events(system.edge, "completion"))
    ask(characters).close()
    noticed(system, before)


def test_a_client_that_has_sent_its_next_request_as_well_is_noticed_when_it_leaves(ask, system):
    at_rest(system.url)
    before = len(log_events(system.edge, "completion"))
    client = ask(100)
    client.sendall(HEALTH)
    wait_until(lambda: arrived(client), "the next request arrived")
    client.close()
    noticed(system, before)
    assert "Traceback" not in system.edge.text()


async def begun(request: web.Request, body: dict) -> web.StreamResponse:
    """A stream that says something and then nothing more."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    await response.write(fake.EVENTS[0])
    await asyncio.Event().wait()
    raise AssertionError("never reached")


def stream(system: System, version: bytes = b"1.1") -> socket.socket:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "x"}], "stream": True}).encode()
    host, port = system.url.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)))
    client.settimeout(NEVER)
    client.sendall((HEAD % (b"application/json", len(body))).replace(b"1.1", version) + body)
    return client


@pytest.mark.parametrize(
    "following",
    [
        b"GET /healthz HTTP/1.1\r\nhost: a\r\nx: " + b"x" * 100_000,
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["endless", "bad"],
)
def test_a_request_that_turns_out_bad_during_the_answer_to_another_ends_both_without_a_word(system, following):
    at_rest(system.url)
    before = len(log_events(system.edge, "completion"))
    system.provider.script = dict.fromkeys(("first", "second"), begun)
    came = b""
    with stream(system) as client:
        while fake.EVENTS[0][-20:] not in came:
            came += client.recv(65536)
        client.sendall(following)
        try:
            while more := client.recv(65536):
                came += more
        except ConnectionResetError:
            pass
    assert came.count(b"HTTP/1.1") == 1
    noticed(system, before)


def test_a_stream_to_an_http_1_0_client_is_not_framed_and_ends_with_the_connection(system):
    came = b""
    with stream(system, b"1.0") as client:
        while more := client.recv(65536):
            came += more
    head, _, body = came.partition(b"\r\n\r\n")
    assert body == b"".join(fake.EVENTS)
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert "Traceback" not in system.edge.text()
