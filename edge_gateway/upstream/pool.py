"""The connections to one server: taken, given back, and closed when nobody has needed them for a while."""

from __future__ import annotations

import asyncio

from edge_gateway.upstream.address import Address
from edge_gateway.upstream.connection import Connection
from edge_gateway.upstream.exchange import Broken


class Pool:
    """As many as are needed; used inside one event loop."""

    def __init__(self, address: Address, connect_seconds: float, idle_seconds: float) -> None:
        """`idle_seconds`: for which an idle connection is kept; servers drop theirs later, so that none is closed in use."""
        self._address = address
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._open: set[Connection] = set()
        # The latest used last.
        self._idle: list[Connection] = []
        self._sweeping: asyncio.TimerHandle | None = None

    def idle(self) -> Connection | None:
        """A connection that is there already."""
        while self._idle:
            connection = self._idle.pop()
            if connection.open and self._is_fresh(connection):
                return connection
            connection.close()
        return None

    async def connect(self) -> Connection:
        """A new connection; Broken when none comes about in time."""
        try:
            connection = await self._address.connect(lambda: Connection(self._free, self._lost), self._connect_seconds)
        except (OSError, RuntimeError, UnicodeError):
            # TimeoutError is an OSError; of a name that is none RuntimeError and UnicodeError are told as well.
            raise Broken from None
        if not connection.open:
            raise Broken
        self._open.add(connection)
        return connection

    async def close(self) -> None:
        """Close them all."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in tuple(self._open):
            connection.close()

    def _free(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweeping is None:
            self._sweeping = loop.call_later(self._idle_seconds, self._sweep)

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)

    def _sweep(self) -> None:
        """Close what has been idle for too long."""
        self._sweeping = None
        fresh = [connection for connection in self._idle if connection.open and self._is_fresh(connection)]
        for connection in set(self._idle).difference(fresh):
            connection.close()
        self._idle = fresh
        if fresh:
            loop = asyncio.get_running_loop()
            self._sweeping = loop.call_later(self._idle_seconds, self._sweep)

    def _is_fresh(self, connection: Connection) -> bool:
        return asyncio.get_running_loop().time() - connection.idle_since < self._idle_seconds
