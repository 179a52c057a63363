"""Reads the verdicts that other replicas, or an earlier life of this one, have left in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from router_service.ledger import LedgerUnavailable
from router_service.records import Verdict

# Seconds from one look to the next, and by how many the looks overlap: clocks differ, and queues are written late.
INTERVAL, OVERLAP = 15.0, 60.0
# Verdicts that a look takes at most: at the start these are what is remembered of earlier lives.
LIMIT = 10_000
AT_ONCE = 250


class Verdicts(Protocol):
    """Whoever keeps verdicts."""

    async def verdicts(self, since: float, limit: int) -> tuple[Verdict, ...]:
        """The latest `limit` verdicts reported at or after `since`, in the order of their reports."""


class Learner(Protocol):
    """Whoever learns from verdicts; one that is told twice counts once."""

    def learn(self, verdict: Verdict) -> None:
        """Take a verdict in."""


class VerdictRefresh:
    """Looks at intervals; a ledger that is gone costs what others have learnt meanwhile, and is asked again."""

    def __init__(
        self, learner: Learner, verdicts: Verdicts, tell: Callable[[str], None], *, interval: float = INTERVAL
    ) -> None:
        """`tell`: what to do with a problem, in words; `interval`: seconds from one look to the next."""
        self._tell = tell
        self._learner = learner
        self._verdicts = verdicts
        self._interval = interval
        self._since = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in a task of the running loop; no decision waits for it."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop looking; the ledger is its owner's to close."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def refresh(self) -> None:
        """Look once; LedgerUnavailable when there is no answer."""
        found = await self._verdicts.verdicts(self._since, LIMIT)
        for number, verdict in enumerate(found, 1):
            self._learner.learn(verdict)
            if number % AT_ONCE == 0:
                # Decisions have their turn between two parts.
                await asyncio.sleep(0)
        if found:
            self._since = max(self._since, found[-1].reported - OVERLAP)

    async def _run(self) -> None:
        while True:
            # When the ledger is gone, or holds what cannot be read, what is known goes on being used.
            try:
                await self.refresh()
            except LedgerUnavailable:
                pass
            except Exception as error:
                self._tell(f"verdicts cannot be read: {type(error).__name__}")
            await asyncio.sleep(self._interval)
