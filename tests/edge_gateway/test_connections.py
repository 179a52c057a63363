"""A client's connection: kept where it can be, ended where its client is too slow, and never with a word in the wrong place."""

import re
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.processes import NEVER, Process, free_port, start_edge, wait_until

Connect = Callable[..., socket.socket]
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
# Answered by its media type, before any of its body is read.
UNREAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\ncontent-length: 1000\r\n\r\n"
# So large that it comes in large reads.
LARGE_UNREAD = UNREAD.replace(b"1000", b"4000000")
CHUNKED = UNREAD.replace(b"content-length: 1000", b"transfer-encoding: chunked")
READ = CHUNKED.replace(b"text/plain", b"application/json")
LAST = b"2\r\n{}\r\n0\r\n"


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

    def connect(*sent: bytes, port: int = 0) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", port or edge[0]))
        opened.append(client)
        client.settimeout(NEVER)
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
    wait_until(lambda: connect(HEALTH).recv(65536).startswith(b"HTTP/1.1 200"), "room again")


def test_the_rest_of_a_request_that_was_answered_before_it_was_read_is_no_large_header_of_the_next(connect):
    client = connect()
    # How large the last read is depends on the machine.
    for _ in range(20):
        client.sendall(LARGE_UNREAD)
        assert b"unsupported_media_type" in until(client, b"}}")
        client.sendall(b"x" * 4_000_000)
    client.sendall(HEALTH)
    assert until(client, b'"ok"}').startswith(b"HTTP/1.1 200")


def test_the_rest_of_a_request_that_was_answered_before_it_was_read_is_no_slow_header_of_the_next(connect):
    client = connect(UNREAD)
    assert b"unsupported_media_type" in until(client, b"}}")
    client.sendall(b"x" * 1000)
    # Longer than headers may take: the connection idles, and nobody waits for any.
    client.settimeout(2.5)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(NEVER)
    client.sendall(HEALTH)
    assert until(client, b'"ok"}').startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("rest", [b"zz\r\n", LAST + b"a: b\r\n" * 10_000], ids=["no chunk", "endless trailers"])
def test_a_request_answered_before_it_was_read_is_not_answered_again_when_it_turns_out_bad(connect, rest):
    client = connect(CHUNKED)
    assert b"unsupported_media_type" in until(client, b"}}")
    client.sendall(rest)
    assert to_the_end(client) == b""


@pytest.mark.parametrize("trailers", [b"a: b\r\n" * 10_000 + b"\r\n", b"a: "], ids=["many", "endless"])
def test_trailers_are_bounded_as_headers_are(connect, trailers):
    client = connect(READ + LAST + trailers)
    if trailers.endswith(b" "):
        # More than comes in one read.
        client.sendall(b"x" * 2**20)
    assert to_the_end(client).startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize(
    "unread",
    [UNREAD.replace(b"host", b"connection: close\r\nhost"), UNREAD.replace(b"1.1", b"1.0")],
    ids=["close", "HTTP/1.0"],
)
def test_a_client_whose_connection_ends_with_an_early_answer_can_still_send_before_it_reads(connect, unread):
    client = connect(unread)
    wait_until(lambda: b"}}" in client.recv(65536, socket.MSG_PEEK), "the answer")
    for _ in range(10):
        client.sendall(b"x" * 100)
    came = to_the_end(client)
    assert came.count(b"HTTP/1.1") == came.count(b"connection: close") == 1
    assert came.endswith(b"}}")


def test_a_client_that_was_answered_when_it_asked_whether_to_go_on_is_told_not_to_use_the_connection_again(connect):
    came = to_the_end(connect(UNREAD.replace(b"host", b"expect: 100-continue\r\nhost")))
    assert came.startswith(b"HTTP/1.1 400")
    assert b"connection: close" in came


def test_a_request_that_still_comes_when_the_drain_is_over_is_told_of_the_end(connect):
    port = free_port()
    process = start_edge(port, EDGE_DRAIN_SECONDS="1")
    client = connect(READ.replace(b"host", b"expect: 100-continue\r\nhost"), port=port)
    # Its body is waited for by now.
    until(client, b"HTTP/1.1 100 Continue\r\n\r\n")
    client.sendall(b"1\r\n{\r\n")
    process.popen.send_signal(signal.SIGTERM)
    came = to_the_end(client)
    client.close()
    assert process.stop() == 0
    assert re.match(rb"HTTP/1\.1 503 .*\"server_shutdown\"", came, re.DOTALL)
    assert "Traceback" not in process.text()
