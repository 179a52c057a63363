"""One keep-alive HTTP/1.1 connection of the load generator, with as little work for each byte as possible."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field


class Broken(Exception):
    """The connection ended before the answer did."""


@dataclass(slots=True)
class Answer:
    """What came back; `body` stays empty where somebody listened to it."""

    status: int
    head: bytes
    body: list[bytes] = field(default_factory=list)

    def header(self, name: str) -> str:
        """A header's value, empty when absent."""
        start = self.head.find(b"\r\n" + name.encode() + b":")
        if start < 0:
            return ""
        start += len(name) + 3
        return self.head[start : self.head.index(b"\r\n", start)].decode().strip()


class Connection(asyncio.Protocol):
    """Sends one request at a time, and reads its answer."""

    def __init__(self) -> None:
        self.open = False
        self._answer: Answer | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._heard: Callable[[bytes], None] | None = None
        self._buffer = b""
        # Bytes of the body to come; -1: it comes in chunks.
        self._left = 0

    async def ask(self, raw: bytes, heard: Callable[[bytes], None] | None = None) -> Answer:
        """The answer to a request; Broken when it does not come to its end. `heard` gets the pieces of its body."""
        if not self.open:
            raise Broken
        self._waiter = asyncio.get_running_loop().create_future()
        self._heard, self._answer, self._buffer = heard, None, b""
        self._transport.write(raw)
        try:
            return await self._waiter
        finally:
            self._waiter = None

    def close(self) -> None:
        """Leave at once, whatever is under way."""
        if self.open:
            self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:
        """It is open."""
        self._transport, self.open = transport, True

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, by whomever."""
        self.open = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Broken())

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        buffer = self._buffer + data if self._buffer else data
        if self._answer is None:
            head, found, rest = buffer.partition(b"\r\n\r\n")
            if not found:
                self._buffer = buffer
                return
            self._begin(head.lower() + b"\r\n")
            buffer = rest
        if self._left >= 0:
            self._plain(buffer)
        else:
            self._chunks(buffer)

    def _begin(self, head: bytes) -> None:
        self._answer = Answer(int(head[9:12]), head)
        length = self._answer.header("content-length")
        self._left = int(length) if length else -1

    def _plain(self, buffer: bytes) -> None:
        self._buffer = b""
        self._left -= len(buffer)
        self._take(buffer)
        if self._left <= 0:
            self._end()

    def _chunks(self, buffer: bytes) -> None:
        at, length = 0, len(buffer)
        while (line := buffer.find(b"\r\n", at)) >= 0:
            size = int(buffer[at:line].partition(b";")[0], 16)
            end = line + 2 + size
            if end + 2 > length:
                break
            if not size:
                self._buffer = b""
                self._end()
                return
            self._take(buffer[line + 2 : end])
            at = end + 2
        self._buffer = buffer[at:]

    def _take(self, piece: bytes) -> None:
        if self._heard is not None:
            self._heard(piece)
        elif self._answer is not None and piece:
            self._answer.body.append(piece)

    def _end(self) -> None:
        answer = self._answer
        assert answer is not None
        if answer.header("connection") == "close":
            self.open = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(answer)


class Pool:
    """Connections to one port, opened as they are needed and kept for the next request."""

    def __init__(self, port: int, most: int = 1500) -> None:
        self._port = port
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(most)
        self.in_flight = 0

    async def ask(self, raw: bytes, heard: Callable[[bytes], None] | None = None) -> Answer:
        """The answer to a request over a free connection; Broken when none comes."""
        self.in_flight += 1
        try:
            async with self._free:
                connection = await self._take()
                try:
                    answer = await connection.ask(raw, heard)
                except BaseException:
                    connection.close()
                    raise
                self._idle.append(connection)
                return answer
        finally:
            self.in_flight -= 1

    def close(self) -> None:
        """Close what is idle."""
        for connection in self._idle:
            connection.close()

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                return connection
        try:
            _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self._port)
        except OSError:
            raise Broken from None
        return connection


def now() -> float:
    """Seconds of the clock that all processes of a machine share."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)
