"""Does many pieces of work side by side, and hands on what is done as soon as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable, Sequence
from typing import Any, TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")
# Pieces that begin in one turn of the event loop; others have theirs before the next.
AT_ONCE = 16


async def as_they_come(work: Sequence[Coroutine[Any, Any, Result]]) -> AsyncIterator[list[tuple[int, Result]]]:
    """What has been done since the last look, each with its position; an exception of one ends them all."""
    positions: dict[asyncio.Task[Result], int] = {}
    left: set[asyncio.Task[Result]] = set()
    try:
        for position, piece in enumerate(work):
            task = asyncio.create_task(piece)
            positions[task] = position
            left.add(task)
            if position % AT_ONCE == AT_ONCE - 1:
                done, left = await asyncio.wait(left, timeout=0)
                if done:
                    yield [(positions[task], task.result()) for task in done]
        while left:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            yield [(positions[task], task.result()) for task in done]
    finally:
        for task in positions:
            task.cancel()
        for piece in work[len(positions) :]:
            piece.close()


async def in_lanes(
    pieces: Sequence[Piece], lane_of: Callable[[Piece], Hashable], do: Callable[[Piece], Awaitable[Result]]
) -> list[Result]:
    """What came of each; those of one lane are done one after another, in their order, and hold up no other lane."""
    lanes: dict[Hashable, list[int]] = {}
    for position, piece in enumerate(pieces):
        lanes.setdefault(lane_of(piece), []).append(position)
    results: dict[int, Result] = {}

    async def follow(lane: list[int]) -> None:
        for position in lane:
            results[position] = await do(pieces[position])

    async with asyncio.TaskGroup() as group:
        for number, lane in enumerate(lanes.values(), 1):
            group.create_task(follow(lane))
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
    return [results[position] for position in range(len(pieces))]
