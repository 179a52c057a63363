"""Keeps answers in Redis for all edges together, and does without them, quickly, whenever it is slow or gone."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from redis.exceptions import RedisError

from edge_gateway.redis_pool import PATIENCE as POOL_PATIENCE
from edge_gateway.redis_pool import open_redis

Tell = Callable[[str, Mapping[str, object]], None]

PREFIX = b"edge:answer:"
BY_DECISION = "edge:answer-of:"
# Seconds an operation may take, and seconds for which Redis is left alone after a failure.
PATIENCE, PAUSE = 0.1, 1.0


class RedisStore:
    """One pool of connections to one Redis."""

    def __init__(self, url: str, clock: Callable[[], float], tell: Tell, op_timeout: float = PATIENCE) -> None:
        """ValueError when `url` is not an address; `clock`: seconds of a clock that never jumps.

        `tell` logs when Redis is left alone, and when it is back; `op_timeout`: the most seconds an operation may take.
        """
        self._redis = open_redis(url, max(op_timeout, POOL_PATIENCE))
        self._op_timeout = op_timeout
        self._clock = clock
        self._tell = tell
        self._aside = False
        self._aside_until = 0.0

    async def get(self, key: bytes) -> bytes | None:
        """The value, None where there is none or Redis does not answer in time."""
        value = await self._do(lambda: self._redis.get(PREFIX + key))
        return value if isinstance(value, bytes) else None

    async def put(self, key: bytes, value: bytes, seconds: float, decision_id: str) -> None:
        """Keep a value, or drop it when Redis does not answer in time."""
        milliseconds = math.ceil(seconds * 1000)

        async def both() -> None:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.set(PREFIX + key, value, px=milliseconds)
                pipe.set(BY_DECISION + decision_id, key, px=milliseconds)
                await pipe.execute()

        await self._do(both)

    async def forget(self, decision_id: str) -> None:
        """Forget what a decision led to."""
        key = await self._do(lambda: self._redis.getdel(BY_DECISION + decision_id))
        if isinstance(key, bytes):
            await self._do(lambda: self._redis.delete(PREFIX + key))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _do(self, operation: Callable[[], Awaitable[Any] | Any]) -> Any:
        if self._clock() < self._aside_until:
            return None
        try:
            async with asyncio.timeout(self._op_timeout):
                result = await operation()
        except (TimeoutError, RedisError, OSError) as error:
            self._aside_until = self._clock() + PAUSE
            self._change(aside=True, problem=type(error).__name__)
            return None
        self._change(aside=False)
        return result

    def _change(self, *, aside: bool, problem: str = "") -> None:
        if aside != self._aside:
            self._aside = aside
            self._tell("cache_without_redis" if aside else "cache_with_redis", {"problem": problem} if aside else {})
