"""One Redis, asked with a deadline, and left alone from the third failure in a row until a look finds it back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from edge_gateway.access.keys import Tell
from edge_gateway.redis_pool import PATIENCE, open_redis

# Failures in a row after which Redis is put aside, and seconds for a look whether it is back.
FAILURES = 3
LOOK = 1.0


class RedisLink:
    """A failed operation has no result; while Redis is put aside every operation fails at once."""

    def __init__(self, url: str, tell: Tell, op_timeout: float) -> None:
        """`op_timeout`: the most seconds an operation may take; ValueError when `url` is not an address."""
        self.aside = False
        self._redis = open_redis(url, max(op_timeout, PATIENCE))
        self._tell = tell
        self._op_timeout = op_timeout
        self._failures = 0

    def script(self, text: str) -> AsyncScript:
        """A Lua script, to be run by `do`."""
        script: AsyncScript = self._redis.register_script(text)
        return script

    async def do(self, operation: Callable[[Redis], Awaitable[Any] | Any]) -> Any:
        """Run one operation in its time; None when it failed, may or may not have been done, or Redis is put aside."""
        if self.aside:
            return None
        try:
            async with asyncio.timeout(self._op_timeout):
                result = await operation(self._redis)
        except (TimeoutError, RedisError, OSError) as error:
            self._failures += 1
            if self._failures >= FAILURES and not self.aside:
                self.aside = True
                # Redis's own words may hold an address or a user's name.
                self._tell("limits_without_redis", {"failures": self._failures, "problem": type(error).__name__})
            return None
        self._failures = 0
        return result

    async def look(self) -> bool:
        """Whether a Redis that was put aside answers again; then it is no longer aside."""
        try:
            async with asyncio.timeout(LOOK):
                await self._redis.get("edge:")
        except (TimeoutError, RedisError, OSError):
            return False
        self._failures = 0
        self.aside = False
        self._tell("limits_with_redis", {})
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
