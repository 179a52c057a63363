"""Where pins, cached answers and shared buckets are kept: the port, and which store an address means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from router_service.errors import InvalidConfiguration
from router_service.stores.memory import MemoryStore

REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
# About 30 MB when full; a pin and a cached answer are an entry each.
DEFAULT_CAPACITY = 100_000
OP_TIMEOUT = 0.05


class Store(Protocol):
    """Small values that may be lost at any time; trouble with the store is a miss, never an exception."""

    async def get(self, key: str) -> bytes | None:
        """The value, or None where there is none, it has expired or the store cannot say."""

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for `ttl` seconds; one of 0 or less keeps nothing."""

    async def take(self, key: str, rate: float, burst: int) -> bool:
        """Take one from a token bucket that all who use the store share; `rate` tokens a second, at most `burst`."""

    async def close(self) -> None:
        """Close what is open; the store is not used afterwards."""


def open_store(
    url: str, on_problem: Callable[[str], None], capacity: int = DEFAULT_CAPACITY, op_timeout: float = OP_TIMEOUT
) -> Store:
    """The store at ROUTER_REDIS_URL, "" meaning this process's memory; InvalidConfiguration when it is no address.

    `on_problem` is told in a sentence when Redis is left alone, and when it is back; `capacity` is memory's, in entries;
    `op_timeout` the most seconds that an operation of Redis may take.
    """
    if not url:
        return MemoryStore(capacity)
    if not url.startswith(REDIS_SCHEMES):
        raise InvalidConfiguration("ROUTER_REDIS_URL: an address starts with redis://, rediss:// or unix://")
    # The client takes a fifth of a second to import, so only a router that has a Redis pays for it.
    from router_service.stores.redis import RedisStore  # noqa: PLC0415

    try:
        return RedisStore(url, on_problem=on_problem, op_timeout=op_timeout)
    except (ValueError, TypeError) as error:
        # The address may hold a password, so it is not repeated.
        raise InvalidConfiguration(f"ROUTER_REDIS_URL: not an address ({type(error).__name__})") from None
