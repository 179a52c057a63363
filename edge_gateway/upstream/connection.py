"""A connection to the server: feeds one exchange at a time, and is free again once its answer is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from edge_gateway.upstream.exchange import Broken, Exchange


class Connection(asyncio.Protocol):
    """One of them; `idle_since` is the event loop's time."""

    def __init__(self, free: Callable[[Connection], None], lost: Callable[[Connection], None]) -> None:
        """`free` is called when the next exchange may begin, `lost` when none may any more."""
        self._open = True
        self.idle_since = 0.0
        self._free = free
        self._lost = lost
        self._exchange: Exchange | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        self._transport = cast(asyncio.Transport, transport)

    @property
    def open(self) -> bool:
        """Whether an exchange may begin on it; one that is closing is told to be lost only a turn later."""
        return self._open and not self._transport.is_closing()

    def begin(self, head: bytes, body: bytes) -> Exchange:
        """Ask; Broken when the connection has ended meanwhile."""
        if not self.open:
            raise Broken
        exchange = self._exchange = Exchange(self._flow)
        self._transport.writelines((head, body))
        return exchange

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        exchange = self._exchange
        if exchange is None:
            # Nobody has asked for anything.
            self.close()
            return
        exchange.fed(data)
        if exchange.over:
            self._exchange = None
            # What was answered before it was whole may go on to be sent, and would be taken for the next request.
            if exchange.keeps_alive and not self._transport.get_write_buffer_size():
                self._free(self)
            else:
                self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, whoever ended it."""
        self._open = False
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.ended(cleanly=exc is None)
        self._lost(self)

    def leave(self, exchange: Exchange) -> None:
        """The rest of this answer is not wanted."""
        if self._exchange is exchange:
            self.close()

    def close(self) -> None:
        """End it at once, and what is under way."""
        self._open = False
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.ended(cleanly=False)
        self._transport.abort()

    def _flow(self, flows: bool) -> None:
        if not self._transport.is_closing():
            (self._transport.resume_reading if flows else self._transport.pause_reading)()
