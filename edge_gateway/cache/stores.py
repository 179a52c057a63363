"""Where kept answers lie: the port, and this process's memory, bounded in bytes and in time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

# What an entry costs beside its bytes, about.
OVERHEAD = 400


class Store(Protocol):
    """Keeps bytes for a while; trouble with it is a miss, never an exception."""

    async def get(self, key: bytes) -> bytes | None:
        """The value, None where there is none."""

    async def put(self, key: bytes, value: bytes, seconds: float, decision_id: str) -> None:
        """Keep a value for so many seconds; `decision_id`: by what it is forgotten."""

    async def forget(self, decision_id: str) -> None:
        """Forget what a decision led to."""

    async def close(self) -> None:
        """Close what is open."""


class MemoryStore:
    """Beyond `capacity` bytes what was kept longest ago goes."""

    def __init__(self, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._clock = clock
        self._size = 0
        self._entries: OrderedDict[bytes, tuple[float, str, bytes]] = OrderedDict()
        self._keys: dict[str, bytes] = {}

    async def get(self, key: bytes) -> bytes | None:
        """The value, None where there is none or it has expired."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        expiry, _, value = entry
        if expiry <= self._clock():
            self._drop(key)
            return None
        return value

    async def put(self, key: bytes, value: bytes, seconds: float, decision_id: str) -> None:
        """Keep a value."""
        self._drop(key)
        self._drop_expired()
        if len(value) + OVERHEAD > self._capacity:
            return
        self._entries[key] = (self._clock() + seconds, decision_id, value)
        self._keys[decision_id] = key
        self._size += len(value) + OVERHEAD
        while self._size > self._capacity:
            self._drop(next(iter(self._entries)))

    async def forget(self, decision_id: str) -> None:
        """Forget what a decision led to."""
        key = self._keys.get(decision_id)
        if key is not None:
            self._drop(key)

    async def close(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._keys.clear()

    def _drop_expired(self) -> None:
        """What nobody may have any more holds no memory; all are kept equally long, so the oldest goes first."""
        now = self._clock()
        while self._entries and self._entries[key := next(iter(self._entries))][0] <= now:
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            _, decision_id, value = entry
            self._keys.pop(decision_id, None)
            self._size -= len(value) + OVERHEAD
