"""The proxy does to a connection what it is told to, and nothing else."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.fakes.threads import ServerThread
from tests.faults.fault_proxy import BlackHole, Fault, FaultProxy

ANSWER = bytes(range(256)) * 40


async def start() -> tuple[int, Callable[[], Awaitable[None]]]:
    """A server that answers each line with ANSWER and an end of line, and ends when its client does."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readline():
                writer.write(ANSWER)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)

    async def stop() -> None:
        server.close()

    return server.sockets[0].getsockname()[1], stop


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    server = ServerThread(start)
    proxy = FaultProxy(server.port)
    yield proxy
    proxy.close()
    server.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def ask(connection: socket.socket, length: int = len(ANSWER)) -> bytes:
    """Ask once, and read until so much has come, or no more comes."""
    connection.sendall(b"hello\n")
    return read(connection, length)


def read(connection: socket.socket, length: int) -> bytes:
    came = b""
    while len(came) < length and (piece := connection.recv(4096)):
        came += piece
    return came


def test_without_a_fault_everything_passes_and_connections_last(proxy):
    with connect(proxy.port) as connection:
        assert [ask(connection), ask(connection)] == [ANSWER, ANSWER]
    assert proxy.began == [b"hello\n"]


def test_a_piece_waits_as_long_as_it_is_told(proxy):
    proxy.fault = Fault(seconds_a_piece=0.3)
    started = time.monotonic()
    with connect(proxy.port) as connection:
        assert ask(connection) == ANSWER
    assert time.monotonic() - started >= 0.3


def test_pieces_are_as_small_as_it_is_told_and_their_bytes_the_same(proxy):
    proxy.fault = Fault(bytes_a_piece=1000, seconds_a_piece=0.05)
    with connect(proxy.port) as connection:
        connection.sendall(b"hello\n")
        assert connection.recv(4096) == ANSWER[:1000]
        assert read(connection, len(ANSWER) - 1000) == ANSWER[1000:]


def test_bandwidth_is_what_it_is_told(proxy):
    proxy.fault = Fault(bytes_a_second=20_000)
    started = time.monotonic()
    with connect(proxy.port) as connection:
        assert ask(connection) == ANSWER
    assert time.monotonic() - started >= 0.5


@pytest.mark.parametrize("after", [0, 1, 5000])
def test_a_reset_comes_after_so_many_bytes(proxy, after):
    proxy.fault = Fault(reset_after=after)
    with connect(proxy.port) as connection:
        assert ask(connection, after) == ANSWER[:after] if after else not connection.sendall(b"hello\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_frozen_connection_stays_open_and_says_nothing(proxy):
    proxy.fault = Fault(freeze_after=100)
    with connect(proxy.port) as connection:
        assert ask(connection, 100) == ANSWER[:100]
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_a_half_closed_connection_ends_and_still_takes_what_is_sent(proxy):
    proxy.fault = Fault(half_close_after=100)
    with connect(proxy.port) as connection:
        assert ask(connection) == ANSWER[:100]
        assert connection.recv(1) == b""
        connection.sendall(b"still here\n")
        time.sleep(0.1)  # a reset would need a moment to come back
        connection.sendall(b"still here\n")


def test_an_idle_connection_is_closed_and_a_new_one_served(proxy):
    proxy.fault = Fault(idle_seconds=0.2)
    with connect(proxy.port) as connection:
        assert ask(connection) == ANSWER
        assert connection.recv(1) == b""
    with connect(proxy.port) as connection:
        assert ask(connection) == ANSWER


def test_a_client_that_has_said_its_end_is_still_answered(proxy):
    with connect(proxy.port) as connection:
        connection.sendall(b"hello\n")
        connection.shutdown(socket.SHUT_WR)
        assert read(connection, 10**6) == ANSWER


def test_nobody_gets_through_to_a_black_hole():
    hole = BlackHole()
    try:
        with pytest.raises(TimeoutError):
            socket.create_connection(("127.0.0.1", hole.port), timeout=0.5)
    finally:
        hole.close()
