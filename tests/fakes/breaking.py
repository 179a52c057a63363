"""Streams that go wrong once their client has read the beginning, so that nobody else can take over."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aiohttp import web

from tests.fakes.behaviours import Behaviour, stream

# A test that never reads the beginning fails by itself, well before the time-out of the tests.
SECONDS_TO_BE_READ = 30


def after_reading(
    read: threading.Event, begun: Sequence[bytes], rest: Sequence[bytes] = (), *, abort: bool = False
) -> Behaviour:
    """These events, and when the client has read them the rest; to a clean end or, with `abort`, to a reset."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        response = await stream(request, begun)
        await asyncio.to_thread(read.wait, SECONDS_TO_BE_READ)
        for event in rest:
            await response.write(event)
        if abort:
            request.transport.abort()
        return response

    return behave


def gather(events: Iterable[Any], got: list[Any], read: threading.Event, has_words: Callable[[Any], bool]) -> None:
    """Gather a client's events as they come, and tell the provider as soon as one has words of the model's."""
    for event in events:
        got.append(event)
        if has_words(event):
            read.set()
