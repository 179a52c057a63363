"""One request and its answer: what of the answer has come, in bytes and in headers, and whether it is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httptools

# Of an answer's headers, and of what else comes without a byte of its body.
MOST_HEAD_BYTES = 64 * 1024
LONGEST_FIELD, MOST_FIELDS = 8190, 128
# Bytes that lie unread before no more are taken.
MOST_UNREAD = 128 * 1024
INFORMATIONAL, SWITCHING = range(100, 200), 101
_WITHOUT_BODY = (204, 304)


class Broken(Exception):
    """There is no connection, it broke off, or what came over it is no HTTP."""


class Exchange:
    """An answer on its way. `status` is 0 until its headers have come; `whole`: its end has."""

    __slots__ = (
        "_bounded", "_changed", "_dry", "_flow", "_parser", "_parts", "_paused", "_unread", "broken", "headers",
        "keeps_alive", "status", "whole",
    )  # fmt: skip

    def __init__(self, flow: Callable[[bool], None]) -> None:
        """`flow`: has bytes come, or stops them from coming."""
        self.status = 0
        # Lower-case names, as often as they came.
        self.headers: list[tuple[str, str]] = []
        self.whole = False
        self.broken = False
        # The connection may serve the next exchange.
        self.keeps_alive = False
        self._flow = flow
        self._parser: Any = httptools.HttpResponseParser(self)
        # As lenient as browsers, and clients of other libraries, are.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._parts: list[bytes] = []
        self._unread = 0
        self._paused = False
        # Bytes that came since the last one of the body.
        self._dry = 0
        # The headers tell where the body ends; else the connection's end is its end.
        self._bounded = False
        self._changed: asyncio.Future[None] | None = None

    @property
    def over(self) -> bool:
        """Whether no more will come."""
        return self.whole or self.broken

    def changed(self) -> asyncio.Future[None]:
        """Done when more has come, or no more will."""
        self._changed = asyncio.get_running_loop().create_future()
        return self._changed

    def take(self) -> bytes:
        """The bytes of the body that have come, each once."""
        parts, self._parts, self._unread = self._parts, [], 0
        if self._paused and not self.over:
            self._paused = False
            self._flow(True)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def fed(self, data: bytes) -> None:
        """Bytes have come."""
        if self._parser is None:
            return
        self._dry += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # What follows a whole answer belongs to none.
            self.keeps_alive = False
            self.broken = not self.whole
        if self._dry > MOST_HEAD_BYTES:
            self.broken = not self.whole
        if self._unread > MOST_UNREAD and not self.over:
            self._paused = True
            self._flow(False)
        self._settle()

    def ended(self, *, cleanly: bool) -> None:
        """The connection has."""
        if not self.whole:
            self.whole = cleanly and self.status > 0 and not self._bounded
            self.broken = not self.whole
        self._settle()

    def on_message_begin(self) -> None:
        """An answer begins."""
        if self.whole:
            # Another one, which nobody asked for.
            self.keeps_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header is whole, or one of what follows a body, which is passed over."""
        if self.status:
            return
        if len(name) > LONGEST_FIELD or len(value) > LONGEST_FIELD or len(self.headers) >= MOST_FIELDS:
            raise Broken
        # Others' names and values may hold anything.
        told = name.decode("utf-8", "surrogateescape").lower(), value.decode("utf-8", "surrogateescape").strip()
        self._bounded = self._bounded or told[0] in ("content-length", "transfer-encoding")
        self.headers.append(told)

    def on_headers_complete(self) -> None:
        """All headers are."""
        if self.status:
            return
        status = self._parser.get_status_code()
        if status in INFORMATIONAL and status != SWITCHING:
            # The answer itself is to come.
            self.headers, self._bounded = [], False
            return
        self.status = status
        self._bounded = self._bounded or status in _WITHOUT_BODY

    def on_body(self, body: bytes) -> None:
        """More of the body."""
        if self.whole:
            return
        self._dry = 0
        self._parts.append(body)
        self._unread += len(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self.status and not self.whole:
            self.whole = True
            self.keeps_alive = self._parser.should_keep_alive()

    def _settle(self) -> None:
        if self.over:
            # They hold each other, and the garbage collector comes seldom.
            self._parser = None
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
