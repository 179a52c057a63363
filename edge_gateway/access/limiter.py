"""Who counts what keys use: the port, and which counter an address means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from edge_gateway.access.entries import Key
from edge_gateway.access.keys import Tell
from edge_gateway.access.limits import Claim, Refusal
from edge_gateway.access.memory import MemoryLimiter

# Seconds that an operation of Redis may take. A busy edge reads its answers late: a limit that gave way then would give way
# under the very load it is for.
PATIENCE = 1.0
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


class InvalidAddress(Exception):
    """An address at which no Redis can be; the text does not repeat it, for it may hold a password."""


class Limiter(Protocol):
    """Counts for keys that have limits; trouble with where it counts is never an exception."""

    @property
    def reconciled(self) -> bool:
        """Whether it is known what was spent before this process began; until then keys with a budget are refused."""

    async def admit(self, key: Key, id: str, claim: Claim) -> Refusal | None:
        """Admit the request `id` with its claim, or say what refuses it; a refused or cancelled call counts nothing."""

    async def settle(self, key: Key, id: str, tokens: int, usd: float) -> None:
        """Put what was used in the claim's place, all 0 for nothing; an unknown or settled id changes nothing."""

    async def reconcile(self, day: Mapping[str, float], month: Mapping[str, float], now: float) -> None:
        """Have at least so many dollars spent, by key's name, of the UTC day and month of `now`."""

    async def close(self) -> None:
        """Close what is open; the limiter is not used afterwards."""


def open_limiter(url: str, tell: Tell, op_timeout: float = PATIENCE) -> Limiter:
    """The limiter at EDGE_REDIS_URL, "" meaning this process's memory; InvalidAddress when it is no address.

    `tell` logs when Redis is left alone, and when it is back; `op_timeout`: the most seconds that it may take.
    """
    if not url:
        return MemoryLimiter()
    if not url.startswith(REDIS_SCHEMES):
        raise InvalidAddress("EDGE_REDIS_URL: an address starts with redis://, rediss:// or unix://")
    # The client takes a fifth of a second to import, so only an edge that has a Redis pays for it.
    from edge_gateway.access.redis import RedisLimiter  # noqa: PLC0415

    try:
        return RedisLimiter(url, tell, op_timeout)
    except (ValueError, TypeError) as error:
        raise InvalidAddress(f"EDGE_REDIS_URL: not an address ({type(error).__name__})") from None
