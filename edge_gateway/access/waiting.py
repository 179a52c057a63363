"""Lets those who wait for room ask one after the other, in the order in which they came."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

# Seconds between two questions: other edges' requests end without a call.
POLL = 0.1
# Who waits holds a whole request in memory.
LONGEST = 256


class Place:
    """One's place in a line, taken for as long as the context lasts; the first in the line is the one to ask."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._called = asyncio.Event()

    def __enter__(self) -> Place:
        self._line.places.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._line.places.remove(self)
        self._line.call()

    @property
    def first(self) -> bool:
        """Whether it is this one's turn to ask."""
        return self._line.places[0] is self

    def call(self) -> None:
        """There may be room."""
        self._called.set()

    async def wait(self, seconds: float) -> None:
        """Wait until there may be room to ask for, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(POLL, seconds) if self.first else seconds):
                await self._called.wait()
        self._called.clear()


class Line:
    """Those who wait for room of one key."""

    def __init__(self) -> None:
        self.places: deque[Place] = deque()

    def call(self) -> None:
        """There may be room for the first."""
        if self.places:
            self.places[0].call()
