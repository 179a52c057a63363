"""Tells the other edges, through Redis, which models are left alone, and hears it of them; off every request's way."""

from __future__ import annotations

import asyncio
import contextlib
import secrets

import msgspec
from redis.exceptions import RedisError

from edge_gateway import telemetry
from edge_gateway.circuits import Circuits
from edge_gateway.redis_pool import open_redis

CHANNEL = "edge:circuits"
# Seconds to publish in, and until a lost subscription is tried again.
PATIENCE, PAUSE = 1.0, 1.0
# News under way at once; whatever is more is no news.
MOST_UNDER_WAY = 100


class _News(msgspec.Struct):
    edge: str
    model: str
    seconds: float


class CircuitNews:
    """One subscription; what is missed while Redis is gone is found out by each edge itself."""

    def __init__(self, url: str, circuits: Circuits) -> None:
        """ValueError when `url` is not an address."""
        self._redis = open_redis(url)
        self._circuits = circuits
        self._edge = secrets.token_hex(16)
        self._under_way: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to tell and to hear, in tasks of the running loop."""
        self._circuits.on_rest = self._tell
        self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Stop, and close the connections."""
        tasks = [*self._under_way, *([self._listening] if self._listening else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._redis.aclose()

    def _tell(self, model: str, seconds: float) -> None:
        if len(self._under_way) < MOST_UNDER_WAY:
            task = asyncio.create_task(self._publish(_News(self._edge, model, seconds)))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _publish(self, news: _News) -> None:
        with contextlib.suppress(TimeoutError, RedisError, OSError):
            async with asyncio.timeout(PATIENCE):
                await self._redis.publish(CHANNEL, msgspec.json.encode(news))

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except (RedisError, OSError) as error:
                telemetry.problem("circuit_news_lost", problem=type(error).__name__)
            await asyncio.sleep(PAUSE)

    async def _hear(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(CHANNEL)
            while True:
                message = await subscription.get_message(timeout=None)
                if message is not None:
                    self._take(message["data"])

    def _take(self, data: bytes) -> None:
        with contextlib.suppress(msgspec.DecodeError):
            news = msgspec.json.decode(data, type=_News)
            if news.edge != self._edge and news.seconds > 0:
                self._circuits.rest(news.model, news.seconds)
