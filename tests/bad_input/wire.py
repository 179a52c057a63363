"""Sends bytes over a raw socket as they stand, at any pace, and reads what comes back as HTTP/1.1, by hand."""

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.processes import NEVER

# What is read at once, and written at once.
PIECE = 256 * 1024


@dataclass(frozen=True)
class Pause:
    """Nothing is sent for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class HalfClose:
    """The client says that it sends no more."""


@dataclass(frozen=True)
class Hang:
    """The client closes the connection and goes."""


Step = bytes | Pause | HalfClose | Hang


@dataclass(frozen=True)
class Answer:
    """One HTTP answer: its status, its headers in lower case, its body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Exchange:
    """What came back over one connection; `closed`: by the server, at the end or instead of an answer."""

    raw: bytes = b""
    answers: list[Answer] = field(default_factory=list)
    interim: list[int] = field(default_factory=list)
    closed: bool = False
    late: bool = False


def exchange(
    port: int,
    steps: Iterable[Step],
    seconds: float,
    *,
    answers: int = 1,
    to_close: bool = False,
    bodiless: bool = False,
) -> Exchange:
    """Do the steps while reading, until so many answers are whole (`to_close`: until the server closes), or until late.

    `bodiless`: the answers have no bodies, as to HEAD.
    """
    came = Exchange()
    end = time.monotonic() + seconds
    connection = socket.create_connection(("127.0.0.1", port), timeout=NEVER)
    with contextlib.closing(connection):
        connection.setblocking(False)
        waiting = iter(steps)
        unsent, resume, sending = memoryview(b""), 0.0, True
        while not came.closed and (to_close or len(came.answers) < answers):
            now = time.monotonic()
            if now >= end:
                came.late = True
                break
            while sending and not unsent and now >= resume:
                step = next(waiting, None)
                if isinstance(step, bytes):
                    unsent = memoryview(step)
                elif isinstance(step, Pause):
                    resume = now + step.seconds
                elif isinstance(step, HalfClose):
                    connection.shutdown(socket.SHUT_WR)
                elif isinstance(step, Hang):
                    return came
                else:
                    sending = False
            paused = resume - now if sending and not unsent else end - now
            wait = max(0.0, min(end - now, paused))
            readable, writable, _ = select.select([connection], [connection] if unsent else [], [], wait)
            if writable:
                try:
                    unsent = unsent[connection.send(unsent[:PIECE]) :]
                except OSError:
                    # The server takes no more; what it said before can still be read.
                    unsent, sending = memoryview(b""), False
            if readable:
                _receive(connection, came)
                _read(came, bodiless=bodiless)
    return came


def _receive(connection: socket.socket, came: Exchange) -> None:
    try:
        piece = connection.recv(PIECE)
    except BlockingIOError:
        return
    except OSError:
        piece = b""
    came.raw += piece
    came.closed = not piece


def _read(came: Exchange, *, bodiless: bool) -> None:
    """Read as many whole answers as have come."""
    while (found := _one(came.raw, closed=came.closed, bodiless=bodiless)) is not None:
        answer, length = found
        came.raw = came.raw[length:]
        if answer.status < 200:
            came.interim.append(answer.status)
        else:
            came.answers.append(answer)


def _one(raw: bytes, *, closed: bool, bodiless: bool) -> tuple[Answer, int] | None:
    """The first whole answer in the bytes, and how many it takes."""
    head, gap, rest = raw.partition(b"\r\n\r\n")
    if not gap or not head.startswith(b"HTTP/1."):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split(" ")[1])
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    start = len(head) + len(gap)
    if status < 200 or status in (204, 304) or bodiless:
        return Answer(status, headers, b""), start
    if "chunked" in headers.get("transfer-encoding", ""):
        body = _unchunked(rest)
        return None if body is None else (Answer(status, headers, body[0]), start + body[1])
    if "content-length" in headers:
        length = int(headers["content-length"])
        return (Answer(status, headers, rest[:length]), start + length) if len(rest) >= length else None
    return (Answer(status, headers, rest), len(raw)) if closed else None


def _unchunked(rest: bytes) -> tuple[bytes, int] | None:
    """The body and how many bytes it takes in chunks; None before its last chunk has come."""
    body, place = b"", 0
    while (line := rest.find(b"\r\n", place)) >= 0:
        size = int(rest[place:line].split(b";")[0], 16)
        start = line + 2
        if len(rest) < start + size + 2:
            return None
        body += rest[start : start + size]
        place = start + size + 2
        if size == 0:
            return body, place
    return None


def handshake(port: int, context: ssl.SSLContext, seconds: float) -> str:
    """The TLS version that a server agrees to, or why there is none."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=seconds) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            return secured.version() or "none"
    except OSError as error:
        return f"refused: {type(error).__name__}"
