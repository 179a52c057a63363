"""A client's connection: kept where it can be, ended where its client is too slow, and never with a word in the wrong place."""

import socket
from collections.abc import Callable, Iterator

import pytest

from tests.processes import Process, free_port, start_edge, wait_until

Connect = Callable[..., socket.socket]
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
# Answered by its media type, before any of its body is read.
UNREAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\ncontent-length: 1000\r\n\r\n"


@pytest.fixture(scope="module")
def edge() -> Iterator[tuple[int, Process]]:
    port = free_port()
    process = start_edge(port, EDGE_HEADER_TIMEOUT_SECONDS="1", EDGE_MAX_CONNECTIONS_PER_ADDRESS="20")
    yield port, process
    process.stop()
    assert "Traceback" not in process.text()


@pytest.fixture
def connect(edge: tuple[int, Process]) -> Iterator[Connect]:
    """Opens connections and sends on each what it is given."""
    opened: list[socket.socket] = []

    def connect(*sent: bytes) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", edge[0]))
        opened.append(client)
        client.settimeout(20)
        for part in sent:
            client.sendall(part)
        return client

    yield connect
    for client in opened:
        client.close()


def until(client: socket.socket, mark: bytes) -> bytes:
    came = b""
    while mark not in came:
        more = client.recv(65536)
        assert more, came
        came += more
    return came


def to_the_end(client: socket.socket) -> bytes:
    came = b""
    while more := client.recv(65536):
        came += more
    return came


def test_a_request_answered_before_it_was_read_leaves_its_connection_usable_once_it_has_come(connect):
    client = connect(UNREAD)
    assert b"unsupported_media_type" in until(client, b"}}")
    client.sendall(b"x" * 1000 + HEALTH)
    assert until(client, b'"ok"}').startswith(b"HTTP/1.1 200")
    client.sendall(HEALTH)
    assert until(client, b'"ok"}').startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("rest", [b"", b"x"], ids=["nothing more", "a byte"])
def test_a_request_answered_before_it_was_read_is_not_waited_for_for_long_and_answered_once(connect, rest):
    client = connect(UNREAD, rest)
    came = to_the_end(client)
    assert came.count(b"HTTP/1.1") == 1
    assert b"unsupported_media_type" in came


def test_headers_that_do_not_end_are_answered_and_silence_is_not(connect):
    assert to_the_end(connect(b"GET /healthz HTTP/1.1\r\nhost: ")).startswith(b"HTTP/1.1 408")
    assert to_the_end(connect()) == b""


def test_a_second_request_that_does_not_end_is_answered_after_the_first(connect):
    came = to_the_end(connect(HEALTH + HEALTH[:-2]))
    assert came.startswith(b"HTTP/1.1 200")
    assert came.count(b"HTTP/1.1") <= 2


def test_one_address_may_not_take_all_connections_and_gets_room_again(connect):
    held = [connect(HEALTH) for _ in range(20)]
    for client in held:
        until(client, b'"ok"}')
    refused = to_the_end(connect(HEALTH))
    assert refused.startswith(b"HTTP/1.1 503")
    assert b"too_many_connections" in refused
    for client in held:
        client.close()
    wait_until(lambda: connect(HEALTH).recv(65536).startswith(b"HTTP/1.1 200"), "room again", 20)


def test_a_large_request_answered_before_it_was_read_is_answered_once_and_the_next_one_too(connect):
    body = b"x" * 300_000
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n"
    client = connect(head % len(body))
    assert b"unsupported_media_type" in until(client, b"}}")
    client.sendall(body)
    client.sendall(HEALTH)
    came = until(client, b'"ok"}')
    assert came.startswith(b"HTTP/1.1 200")
    assert came.count(b"HTTP/1.1") == 1


def test_whoever_was_refused_before_sending_the_announced_body_is_told_that_the_connection_ends(connect):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n"
    came = to_the_end(connect(head + b"expect: 100-continue\r\n\r\n"))
    assert b"unsupported_media_type" in came
    assert b"connection: close" in came


def test_what_follows_a_body_is_no_header_and_may_not_go_on_for_ever(connect):
    head = HEALTH.replace(b"GET /healthz", b"POST /v1/chat/completions")[:-2]
    head += b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    came = to_the_end(connect(head + b"2\r\n{}\r\n0\r\n", b"a: b\r\n" * 20_000))
    assert came.count(b"HTTP/1.1") == 1
    assert came.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
