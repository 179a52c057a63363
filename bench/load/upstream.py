"""Stands in Portkey's place: a small and fast server that answers as each request wishes, and counts what it gets.

`python -m bench.load.upstream PORT`. GET /counts tells the counts, and the SHA-256 of each stream by its request's name.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import sys

import uvloop

from bench.load.connection import now
from bench.load.prompts import Wish, read_wish

PLAIN = (
    b'{"id":"c1","object":"chat.completion","model":"up","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"It is mended."},"finish_reason":"stop"}],"usage":{"prompt_tokens":2000,"completion_tokens":40}}'
)
REFUSED = b'{"error":{"message":"no capacity","type":"server_error","param":null,"code":null}}'
# A chunk's text begins with the time at which it was sent, in nanoseconds.
CHUNK = (
    b'data: {"id":"c1","object":"chat.completion.chunk","created":1741569952,"model":"up","choices":[{"index":0,'
    b'"delta":{"content":"%d a few words of code"},"finish_reason":null}],"pad":"%s"}\n\n'
)
END = (
    b'data: {"id":"c1","object":"chat.completion.chunk","created":1741569952,"model":"up","choices":[{"index":0,'
    b'"delta":{},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Counts:
    """What came and goes, over all connections."""

    def __init__(self) -> None:
        self.calls = 0
        self.open = 0
        self.most_open = 0
        self.left = 0
        # Streams whose reader is so far behind that no more is written for now.
        self.behind = 0
        self.digests: dict[str, str] = {}

    def began(self) -> None:
        """A request has come."""
        self.calls += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)

    def told(self) -> bytes:
        """All of it as JSON; the digests are told once."""
        told = json.dumps(vars(self)).encode()
        self.digests.clear()
        self.most_open = self.open
        return told


class Upstream(asyncio.Protocol):
    """One connection."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._parts: list[bytes] = []
        self._size = 0
        self._need = -1
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False
        self._paused = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        """It is open."""
        self._transport = transport
        # Small, so that a reader that is behind is noticed soon.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        self._loop = asyncio.get_running_loop()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, by whomever."""
        if self._timer is not None:
            self._timer.cancel()
        if self._paused:
            self.resume_writing()
        if self._busy:
            self._counts.left += 1
            self._over()

    def pause_writing(self) -> None:
        """The reader is behind."""
        self._paused = True
        self._counts.behind += 1

    def resume_writing(self) -> None:
        """The reader has caught up."""
        self._paused = False
        self._counts.behind -= 1

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._parts.append(data)
        self._size += len(data)
        if self._need < 0:
            together = b"".join(self._parts)
            self._parts = [together]
            end = together.find(b"\r\n\r\n")
            if end < 0:
                return
            head = together[:end].lower() + b"\r\n"
            start = head.find(b"\r\ncontent-length:")
            length = int(head[start + 17 : head.index(b"\r\n", start + 17)]) if start >= 0 else 0
            self._head_size, self._need = end + 4, end + 4 + length
        if self._size >= self._need:
            raw = b"".join(self._parts)
            self._parts, self._size, self._need = [], 0, -1
            self._serve(raw)

    def _serve(self, raw: bytes) -> None:
        if raw.startswith(b"GET"):
            self._plain(b"200 OK", self._counts.told())
            return
        self._counts.began()
        self._busy = True
        wish, name = read_wish(raw[self._head_size : self._head_size + 2000])
        if wish.wait:
            self._timer = self._loop.call_later(wish.wait, self._answer, wish, name)
        else:
            self._answer(wish, name)

    def _answer(self, wish: Wish, name: str) -> None:
        if wish.fault == "refuse":
            self._plain(b"503 Service Unavailable", REFUSED)
        elif wish.chunks:
            self._stream(wish, name)
        else:
            self._plain(b"200 OK", PLAIN)

    def _plain(self, status: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        self._transport.write(head + body)
        self._over()

    def _stream(self, wish: Wish, name: str) -> None:
        self._wish, self._name = wish, name
        self._digest = hashlib.sha256()
        self._sent, self._started = 0, self._loop.time()
        self._pad = b"x" * wish.pad
        if wish.rate:
            self._transport.write(STREAM_HEAD)
            self._next()
            return
        framed = [STREAM_HEAD, *(self._framed(self._chunk()) for _ in range(wish.chunks))]
        self._transport.write(b"".join(framed))
        self._finish()

    def _next(self) -> None:
        """Write what is due, and come again; a reader that is behind is waited for."""
        if not self._paused:
            self._transport.write(self._framed(self._chunk()))
            self._sent += 1
        if self._sent >= self._wish.chunks:
            self._finish()
            return
        due = self._started + self._sent / self._wish.rate
        self._timer = self._loop.call_at(max(due, self._loop.time() + 0.001), self._next)

    def _finish(self) -> None:
        if self._wish.fault == "cut":
            self._transport.abort()
            return
        self._transport.write(b"".join(map(self._framed, END)) + b"0\r\n\r\n")
        self._counts.digests[self._name] = self._digest.hexdigest()
        self._over()

    def _chunk(self) -> bytes:
        return CHUNK % (int(now() * 1e9), self._pad)

    def _framed(self, event: bytes) -> bytes:
        self._digest.update(event)
        return b"%x\r\n%s\r\n" % (len(event), event)

    def _over(self) -> None:
        if self._busy:
            self._busy = False
            self._counts.open -= 1


async def serve(port: int) -> None:
    """Serve until the process is stopped."""
    counts = Counts()
    server = await asyncio.get_running_loop().create_server(lambda: Upstream(counts), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
