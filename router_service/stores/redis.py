"""Keeps values in Redis for all routers together, and does without it, quickly, whenever it is slow or gone."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from router_service.stores.bucket import Buckets

PREFIX = "router:"
# Longer keys are hashed: Redis keeps every key in full.
LONGEST_KEY = 96
MOST_CONNECTIONS = 32
# Failures in a row after which Redis is left alone, seconds between looks whether it is back, and seconds for a look.
FAILURES = 3
PAUSE = 1.0
LOOK = 1.0

# The server's clock, so that routers whose clocks differ share one bucket. Lua's own tostring would lose microseconds.
TAKE = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1000000
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(kept[1]) or burst
tokens = math.min(burst, tokens + math.max(0, now - (tonumber(kept[2]) or now)) * rate)
local taken = tokens >= 1
if taken then tokens = tokens - 1 end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return taken and 1 or 0
"""


class RedisStore:
    """One pool of connections to one Redis; a failed operation is a miss, and three in a row put Redis aside.

    While it is aside every operation misses at once, and a task of its own looks once a second whether it is back.
    """

    def __init__(self, url: str, on_problem: Callable[[str], None], op_timeout: float = 0.05) -> None:
        """`op_timeout`: the most seconds an operation may take; ValueError when `url` is not an address."""
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MOST_CONNECTIONS,
            timeout=None,  # `op_timeout` bounds the wait for a connection too
            # Retries would take the decision's time; `_do` is what bounds an operation.
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=max(op_timeout, LOOK),
            socket_timeout=max(op_timeout, LOOK),
        )
        self._redis: Redis = Redis.from_pool(pool)
        self._take = self._redis.register_script(TAKE)
        self._op_timeout = op_timeout
        self._on_problem = on_problem
        self._failures = 0
        self._looking: asyncio.Task[None] | None = None
        self._local = Buckets(time.monotonic)

    async def get(self, key: str) -> bytes | None:
        """The value, or None where there is none, it has expired or Redis does not answer in time."""
        value = await self._do(lambda: self._redis.get(_name(key)))
        return value if isinstance(value, bytes) else None

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for `ttl` seconds, or drop it when Redis does not answer in time."""
        if ttl <= 0:
            await self._do(lambda: self._redis.delete(_name(key)))
        else:
            await self._do(lambda: self._redis.set(_name(key), value, px=math.ceil(ttl * 1000)))

    async def take(self, key: str, rate: float, burst: int) -> bool:
        """Take one from the bucket in Redis, or from this process's own while Redis does not answer."""
        # The own bucket is kept as empty as the shared one, so that Redis's going away is no second burst.
        local = self._local.take(key, rate, burst)
        taken = await self._do(lambda: self._take(keys=[_name("bucket:" + key)], args=[rate, burst]))
        return local if taken is None else bool(taken)

    async def close(self) -> None:
        """Stop looking for Redis and close the connections."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._redis.aclose()

    async def _do(self, operation: Callable[[], Awaitable[Any] | Any]) -> Any:
        """Run one operation in its time; None when it failed or Redis is put aside."""
        if self._looking is not None:
            return None
        try:
            async with asyncio.timeout(self._op_timeout):
                result = await operation()
        except (TimeoutError, RedisError, OSError) as error:
            self._failed(error)
            return None
        self._failures = 0
        return result

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures >= FAILURES and self._looking is None:
            self._looking = asyncio.create_task(self._look())
            # Redis's own words may hold an address or a user's name.
            self._on_problem(f"Redis failed {FAILURES} times in a row ({type(error).__name__}); going on without it")

    async def _look(self) -> None:
        """Look once a second until Redis answers; it also leaves a connection that is ready."""
        while True:
            await asyncio.sleep(PAUSE)
            try:
                async with asyncio.timeout(LOOK):
                    await self._redis.get(PREFIX)
            except (TimeoutError, RedisError, OSError):
                continue
            self._failures = 0
            self._looking = None
            self._on_problem("Redis answers again")
            return


def _name(key: str) -> str | bytes:
    encoded = key.encode("utf-8", "surrogatepass")
    if len(encoded) <= LONGEST_KEY:
        return PREFIX.encode() + encoded
    return PREFIX + "sha256:" + hashlib.sha256(encoded).hexdigest()
