"""A client that leaves is noticed, however much it has sent and whatever waits behind: its provider is let go."""

import fcntl
import json
import signal
import socket
import struct
import termios
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import System
from tests.fakes import provider as fake
from tests.processes import log_events, wait_until

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"
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
        client.settimeout(20)
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
    before = len(log_events(system.edge, "completion"))
    ask(characters).close()
    noticed(system, before)


def test_an_answer_to_http_1_0_has_no_chunks_and_ends_with_its_connection(system):
    host, port = system.url.removeprefix("http://").split(":")
    body = b'{"model": "fake/first", "stream": true, "messages": [{"role": "user", "content": "hi"}]}'
    head = (HEAD % (b"application/json", len(body))).replace(b"HTTP/1.1", b"HTTP/1.0")
    with socket.create_connection((host, int(port))) as client:
        client.settimeout(20)
        client.sendall(head + body)
        came = b"".join(iter(lambda: client.recv(65536), b""))
    answer_head, _, answer_body = came.partition(b"\r\n\r\n")
    assert b" 200 " in answer_head
    assert b"transfer-encoding" not in answer_head
    assert answer_body == b"".join(fake.EVENTS)
