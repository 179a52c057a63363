"""One pool of connections to one Redis, for whoever bounds its operations itself."""

from __future__ import annotations

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

MOST_CONNECTIONS = 32
PATIENCE = 1.0


def open_redis(url: str, patience: float = PATIENCE) -> Redis:
    """A client of the Redis at `url`, which nothing is asked of yet; ValueError when that is no address.

    `patience`: seconds for a connection to be made, and for a server to say a word.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MOST_CONNECTIONS,
        timeout=None,  # whoever asks bounds the wait for a connection too
        # Retries would take the request's time.
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=patience,
        socket_timeout=patience,
    )
    return Redis.from_pool(pool)
