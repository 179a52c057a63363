"""Ends a client's connection so that it still reads what was said last: closed over unread bytes, it would lose that."""

from __future__ import annotations

import asyncio
import time

from uvicorn.protocols.http.flow_control import FlowControl

# Seconds that a client gets to read why it is refused, or to stop sending what was answered before it was read.
LINGER = 2.0


class Parting:
    """Of one connection: once it has begun nothing more is said or heard, and the client has only to close."""

    def __init__(self) -> None:
        """It has not begun."""
        self._since: float | None = None

    @property
    def begun(self) -> bool:
        """Whether it has."""
        return self._since is not None

    def is_over(self, now: float) -> bool:
        """Whether the client has had its time; `now`: time.monotonic()."""
        return self._since is not None and now - self._since > LINGER

    def begin(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        """Leave it to the client to close, for a while."""
        self._since = time.monotonic()
        if transport.can_write_eof():
            transport.write_eof()
        flow.resume_reading()

    def cut(self, transport: asyncio.Transport) -> None:
        """Close at once: whatever was said now would be taken for something else."""
        self._since = time.monotonic()
        transport.abort()
