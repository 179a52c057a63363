"""Lets watchers see decisions and outcomes as they happen, each with a bounded queue of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from router_service.domain import Decision, Report, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator

# A watcher that is this far behind will not catch up.
LONGEST_QUEUE = 1000

Event = Summary | tuple[Report, Decision]


class TooSlow(Exception):
    """A watcher read so slowly that events had to be dropped."""


class Watchers:
    """All who watch; publishing never waits for any of them."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Event | None]] = set()

    def publish(self, event: Event) -> None:
        """Hand an event to every watcher; one whose queue is full is cut off."""
        for queue in tuple(self._queues):
            if queue.qsize() >= LONGEST_QUEUE:
                self._queues.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    @contextmanager
    def _queue(self) -> Iterator[asyncio.Queue[Event | None]]:
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)

    async def events(self) -> AsyncIterator[Event]:
        """What happens from now on; TooSlow when the watcher falls too far behind."""
        with self._queue() as queue:
            while True:
                event = await queue.get()
                if event is None:
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
    )
