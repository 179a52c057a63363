"""Keeps values in this process, bounded by their number, each for its time."""

from __future__ import annotations

import hashlib
import struct
import time
from collections import OrderedDict
from collections.abc import Callable

from router_service.stores.bucket import Buckets

_EXPIRY = struct.Struct("d")


class MemoryStore:
    """The embedded store. Beyond `capacity` entries the one that was put longest ago goes.

    Keys are kept as 16-byte digests, and the expiry in front of the value, so that a million short entries cost about
    a quarter of a gigabyte (tests/router_service/test_stores.py measures it).
    """

    def __init__(self, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._clock = clock
        self._entries: OrderedDict[bytes, bytes] = OrderedDict()
        self._buckets = Buckets(clock)

    async def get(self, key: str) -> bytes | None:
        """The value, or None where there is none or it has expired."""
        digest = _digest(key)
        entry = self._entries.get(digest)
        if entry is None:
            return None
        (expiry,) = _EXPIRY.unpack_from(entry)
        if expiry <= self._clock():
            del self._entries[digest]
            return None
        return entry[_EXPIRY.size :]

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for `ttl` seconds; one of 0 or less keeps nothing."""
        digest = _digest(key)
        self._entries.pop(digest, None)
        if ttl <= 0:
            return
        self._entries[digest] = _EXPIRY.pack(self._clock() + ttl) + value
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    async def take(self, key: str, rate: float, burst: int) -> bool:
        """Take one from this process's bucket of that name."""
        return self._buckets.take(key, rate, burst)

    async def close(self) -> None:
        """Forget everything."""
        self._entries.clear()


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
