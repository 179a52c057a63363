"""Both clients in one manner, so that one suite shows of each what must hold."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from router_client import AsyncRouter, Router, Watch

STREAMS = ("select_stream", "list_decisions")
ENDED = object()


class InThreads:
    """A Router as an AsyncRouter: each call in a thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._router = Router(*args, **kwargs)

    async def __aenter__(self) -> "InThreads":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        asked = getattr(self._router, name)
        if name in STREAMS:
            return lambda *args, **kwargs: _each(asked(*args, **kwargs))
        return lambda *args, **kwargs: asyncio.to_thread(asked, *args, **kwargs)

    @asynccontextmanager
    async def watch(self, **kwargs: Any) -> AsyncIterator[AsyncGenerator[Any, None]]:
        watch: Watch = self._router.watch(**kwargs)
        await asyncio.to_thread(watch.__enter__)
        try:
            yield _each(watch)
        finally:
            watch.close()


async def _each(found: Iterator[Any]) -> AsyncGenerator[Any, None]:
    try:
        while (one := await asyncio.to_thread(next, found, ENDED)) is not ENDED:
            yield one
    finally:
        found.close()


BOTH: dict[str, Callable[..., Any]] = {"threads": InThreads, "loop": AsyncRouter}
