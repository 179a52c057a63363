"""Lets watchers see decisions and outcomes as they happen, each with a bounded queue of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING

from router_service.domain import Decision
from router_service.records import Report, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator

# A watcher that is this far behind will not catch up.
LONGEST_QUEUE = 1000

Event = Summary | tuple[Report, Decision]


class _Signal(Enum):
    """What a watcher finds in its queue when there is nothing more to see."""

    TOO_SLOW = 1
    CLOSED = 2


class TooSlow(Exception):
    """A watcher read so slowly that events had to be dropped."""


class Watchers:
    """All who watch; publishing never waits for any of them."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Event | _Signal]] = set()
        self._closed = False

    def publish(self, event: Event) -> None:
        """Hand an event to every watcher; one whose queue is full is cut off."""
        for queue in tuple(self._queues):
            if queue.qsize() >= LONGEST_QUEUE:
                self._queues.discard(queue)
                queue.put_nowait(_Signal.TOO_SLOW)
            else:
                queue.put_nowait(event)

    @contextmanager
    def watching(self) -> Iterator[AsyncIterator[Event]]:
        """What happens while the context lasts, until the router stops; TooSlow when the watcher falls too far behind.

        Nothing escapes a watcher from here on, whenever it begins to read.
        """
        queue: asyncio.Queue[Event | _Signal] = asyncio.Queue()
        self._queues.add(queue)
        if self._closed:
            queue.put_nowait(_Signal.CLOSED)
        try:
            yield _events(queue)
        finally:
            self._queues.discard(queue)

    def close(self) -> None:
        """End every watcher's stream, those that are to come too: the router stops."""
        self._closed = True
        for queue in tuple(self._queues):
            queue.put_nowait(_Signal.CLOSED)


async def _events(queue: asyncio.Queue[Event | _Signal]) -> AsyncIterator[Event]:
    while True:
        event = await queue.get()
        if event is _Signal.CLOSED:
            return
        if isinstance(event, _Signal):
            raise TooSlow
        yield event


def summary_of(decision: Decision) -> Summary:
    """A decision as a list shows it, before anything is reported of it."""
    return Summary(
        decision_id=decision.id,
        time=decision.time,
        tenant=decision.request.tenant,
        profile=decision.request.profile,
        purpose=decision.request.purpose,
        conversation_id=decision.request.conversation_id,
        model=decision.model,
        source=decision.source,
        reason=decision.reason,
        expected_cost_usd=decision.ranking[0].expected_cost_usd,
        previous_outcome=decision.request.previous_reply.outcome,
        caller=decision.request.caller,
    )
