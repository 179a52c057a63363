"""Does many pieces of work side by side, and hands on what is done as soon as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, TypeVar

Result = TypeVar("Result")
# Pieces that begin in one turn of the event loop; others have theirs before the next.
AT_ONCE = 16


async def as_they_come(work: Sequence[Coroutine[Any, Any, Result]]) -> AsyncIterator[list[tuple[int, Result]]]:
    """What has been done since the last look, each with its position; an exception of one ends them all."""
    positions: dict[asyncio.Task[Result], int] = {}
    try:
        for position, piece in enumerate(work):
            positions[asyncio.create_task(piece)] = position
            if position % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        left = set(positions)
        while left:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            yield [(positions[task], task.result()) for task in done]
    finally:
        for task in positions:
            task.cancel()
