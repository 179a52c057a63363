"""Refuses requests at once while more have come than can be served in time, so that the others are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_gateway import telemetry

# Seconds between two looks at how late the event loop is, and after which they are judged together.
BEAT, PERIOD = 0.02, 0.05
# What the share that is let in falls to at most in a period, grows by, and is at least, to see whether there is room.
STEEPEST, RECOVERY, LEAST = 0.4, 0.03, 0.05
# Up to so many queued requests are no overload, however late the event loop is, which another process may be the reason for.
# While it is late there are no more than the other number of them: what waits longer is answered no sooner.
FEW, MOST_QUEUED = 16, 24
# Seconds that a look at the event loop has to be due at least for it to be late just now, and for which the queue stays short
# once it was, for with a short queue it is on time again; not for as long as something is refused, which would never end.
OVERDUE, STILL_LATE = 0.015, 1.0
# Of what would be refused so many are let in, and so many more each second up to that: a crowd of a moment, or a moment when
# another process needs the machine, makes answers late and ends by itself.
MOST_SPARED, SPARED_A_SECOND = 128, 1.0
# Seconds between two lines of the log about it.
QUIET = 1.0


class Valve:
    """The share of requests that is let in: it falls while the event loop is late, in proportion, and grows back slowly.

    So the loop stays as late as it may be, neither idle nor behind: a bound of requests would have to know what each costs.
    """

    def __init__(self, most_lag: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`most_lag`: seconds that what comes at any time may have to wait for its turn, on the mean of a period."""
        self.share = 1.0
        self.clock = clock
        self._most_lag = most_lag
        self._overdue = max(OVERDUE, most_lag)
        self._waited = 0.0
        self._span = 0.0
        self._owed = 0.0
        self._due = float("inf")
        self._awake = asyncio.Event()

    @property
    def wide_open(self) -> bool:
        """Whether all are let in: the event loop has not been late for a while."""
        return self.share == 1.0

    @property
    def is_late(self) -> bool:
        """Whether it has been lately, or is just now."""
        return self.share < 1.0 or self.clock() - self._due > self._overdue

    def look(self, late: float) -> None:
        """What was due has run so late. Long turns count by their square: more come while they last, and wait for longer."""
        self._waited += late * late / 2
        self._span += BEAT + late
        if self._span < PERIOD:
            return
        lag = self._waited / self._span
        if lag > self._most_lag:
            self.share = max(self.share * max(self._most_lag / lag, STEEPEST), LEAST)
        else:
            self.share = min(self.share + RECOVERY, 1.0)
        self._waited = self._span = 0.0

    def opens(self) -> bool:
        """Whether the next is let in: of any number the share, evenly."""
        self._owed += self.share
        if self._owed < 1.0:
            return False
        self._owed -= 1.0
        return True

    def wake(self) -> None:
        """Somebody is served, so that lateness matters."""
        self._awake.set()

    def rest(self) -> None:
        """Nobody is: looking on would be all that an idle edge does."""
        self._awake.clear()

    async def watch(self) -> None:
        """Look, again and again, until cancelled; without anybody to serve only until all would be let in."""
        while True:
            if self.wide_open:
                self._due = float("inf")
                await self._awake.wait()
            self._due = self.clock() + BEAT
            await asyncio.sleep(BEAT)
            self.look(max(0.0, self.clock() - self._due))


class Patience:
    """How many more are let in though there is no time for them; used up by a crowd that stays."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = float(MOST_SPARED)
        self._looked = clock()

    def spares(self) -> bool:
        """Whether the next is let in all the same."""
        now = self._clock()
        self._left = min(self._left + (now - self._looked) * SPARED_A_SECOND, MOST_SPARED)
        self._looked = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Shedding:
    """Which requests are served, and how many are; the others are refused before anything is done for them.

    Only what asks a model is refused: health checks and lists cost next to nothing, and tell who operates it.
    """

    def __init__(self, valve: Valve, most_requests: int, waiting: Callable[[], int]) -> None:
        """`most_requests`: that may be under way at once, whatever the valve says; `waiting`: how many wait for a model."""
        self._valve = valve
        self._waiting = waiting
        self._most_requests = most_requests
        self._patience = Patience(valve.clock)
        self.under_way = 0
        self._unanswered = 0
        # Since the start; those of them that the log was told of.
        self.refused = 0
        self._told_of = 0
        self._late_at = self._told = float("-inf")

    def refuses(self, scope: Mapping[str, Any]) -> bool:
        """Whether this request, whose turn it is, is not to be served. One that is counts from now on, until it is served."""
        if scope["method"] != "POST":
            return False
        if not self._has_room():
            self._tell()
            return True
        if self.under_way == 0:
            self._valve.wake()
        self.under_way += 1
        self._unanswered += 1
        return False

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the application serve a request that was not refused."""
        waits = True

        async def begin(message: Message) -> None:
            nonlocal waits
            self._unanswered -= waits
            waits = False
            await send(message)

        try:
            await app(scope, receive, begin)
        finally:
            self.under_way -= 1
            self._unanswered -= waits
            if self.under_way == 0:
                self._valve.rest()

    def _has_room(self) -> bool:
        if self.under_way >= self._most_requests:
            return False
        queued = self._queued()
        if queued < FEW:
            return True
        now = self._valve.clock()
        if self._valve.is_late:
            self._late_at = now
        short = now - self._late_at < STILL_LATE
        return (self._valve.opens() and not (short and queued >= MOST_QUEUED)) or self._patience.spares()

    def _queued(self) -> int:
        """How many have been let in and wait for this process: neither for a model, nor for the rest of their answer."""
        return self._unanswered - self._waiting()

    def _tell(self) -> None:
        self.refused += 1
        now = self._valve.clock()
        if now - self._told >= QUIET:
            # A line for each would be work for nothing at the worst of times.
            share = round(self._valve.share, 2)
            telemetry.problem(
                "overloaded",
                refused=self.refused - self._told_of,
                under_way=self.under_way,
                queued=self._queued(),
                let_in=share,
            )
            self._told, self._told_of = now, self.refused
