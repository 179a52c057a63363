"""Asks again and again what keys have spent according to the ledger, so that budgets survive restarts and outages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from edge_gateway.access.keys import Tell
from edge_gateway.access.limiter import Limiter
from edge_gateway.access.limits import DAY, day_of, month_begins

# The dollars spent since that time (epoch seconds), by key's name.
Spending = Callable[[float], Awaitable[Mapping[str, float]]]

# Seconds between two questions, and until there was a first answer.
INTERVAL = 15.0
FIRST_INTERVAL = 1.0
# Seconds that one question with its two answers may take.
DEADLINE = 10.0


class Reconciler:
    """Asks at once, then at intervals; a failure is told when it begins and when it is over, and never raised."""

    def __init__(
        self,
        spending: Spending,
        limiter: Limiter,
        tell: Tell,
        seconds: float = INTERVAL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`seconds`: from one question to the next; `clock`: epoch seconds."""
        self._spending = spending
        self._limiter = limiter
        self._tell = tell
        self._seconds = seconds
        self._clock = clock
        self._answered = False
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in a task of the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop asking; the limiter is its owner's to close."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def reconcile(self) -> bool:
        """Ask once; whether there was an answer."""
        # Sums that arrive after midnight are those of the day for which they were asked.
        now = self._clock()
        try:
            async with asyncio.timeout(DEADLINE):
                day = await self._spending(float(day_of(now) * DAY))
                month = await self._spending(month_begins(now))
            await self._limiter.reconcile(day, month, now)
        except Exception as error:  # whatever it is, what is known goes on being used
            if not self._failing:
                self._tell("spending_unknown", {"problem": type(error).__name__, "budgeted_keys": self._serving()})
            self._failing = True
            return False
        if self._failing:
            self._tell("spending_known", {"keys": len(month)})
        self._answered, self._failing = True, False
        return True

    def _serving(self) -> str:
        return "served by what is known" if self._limiter.reconciled else "refused until it is known"

    async def _run(self) -> None:
        while True:
            await self.reconcile()
            await asyncio.sleep(self._seconds if self._answered else min(FIRST_INTERVAL, self._seconds))
