"""Clients' connections, all together: how many there may be, and a look at each of them now and then."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from edge_gateway import errors
from edge_gateway.errors import GatewayError

# Seconds between two looks at all connections, at most.
LONGEST_LOOK = 1.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds for a request's headers, for its body, and without a byte taken of an answer; connections in all and of one
    address, 0 for any number."""

    header_seconds: float
    body_seconds: float
    write_seconds: float
    connections: int
    per_address: int


class Watched(Protocol):
    """One of them."""

    def look(self, now: float) -> None:
        """End the connection if its client has had its time; `now`: time.monotonic()."""

    def cut(self) -> None:
        """The process has waited long enough: a request that still comes will not be served."""


class Connections:
    """All of them: counted when they come, looked at while they are open."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._open: set[Watched] = set()
        self._addresses: Counter[str] = Counter()

    def enter(self, connection: Watched, address: str) -> GatewayError | None:
        """Count a connection; why it is refused, None if it may stay."""
        bounds = self.bounds
        self._open.add(connection)
        self._addresses[address] += 1
        if len(self._open) > bounds.connections:
            return errors.too_many_connections()
        if bounds.per_address and self._addresses[address] > bounds.per_address:
            return errors.too_many_connections()
        return None

    def leave(self, connection: Watched, address: str) -> None:
        """Forget a connection that has ended."""
        self._open.discard(connection)
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    def cut(self) -> None:
        """Wait for no request any longer that still comes."""
        for connection in tuple(self._open):
            connection.cut()

    async def watch(self) -> None:
        """Look after all of them until cancelled. One round for all costs less than timers for each request."""
        bounds = self.bounds
        look = min(LONGEST_LOOK, bounds.header_seconds / 4, bounds.body_seconds / 4, bounds.write_seconds / 4)
        while True:
            await asyncio.sleep(look)
            now = time.monotonic()
            for connection in tuple(self._open):
                connection.look(now)
