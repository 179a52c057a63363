"""Refuses requests at once while more have come than can be served in time, so that the others are."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from edge_gateway import errors, forms, telemetry

# Seconds between two looks at how late the event loop is, and for which they count.
BEAT, WINDOW = 0.02, 1.0
# Requests that may wait for the edge itself, and the seconds for which more may: a burst is no overload.
MOST_WAITING, BURST = 16, 0.3
# Seconds between two lines of the log about it, and without a refusal after which an overload is over.
QUIET = 1.0
NEVER = float("inf")


class LoopLag:
    """How long, in seconds, what comes at any time has to expect to wait for its turn of the event loop."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, float]] = deque()
        self._weight = 0.0

    @property
    def seconds(self) -> float:
        """The mean of the last second. Long turns count by their square: more come while they last, and wait for longer."""
        return self._weight / 2 / WINDOW

    def look(self, now: float, late: float) -> None:
        """What was due has run so late."""
        self._looks.append((now, min(late, WINDOW) ** 2))
        self._weight += self._looks[-1][1]
        while self._looks[0][0] < now - WINDOW:
            self._weight -= self._looks.popleft()[1]

    async def watch(self) -> None:
        """Look, again and again, until cancelled."""
        while True:
            due = time.monotonic() + BEAT
            await asyncio.sleep(BEAT)
            now = time.monotonic()
            self.look(now, now - due)


class Queue:
    """The requests that wait for the edge itself: their bodies have come, and they have not gone to a model yet."""

    def __init__(self) -> None:
        self._waiting = 0
        # Since when more wait than may, without a moment in which they did not.
        self._standing_since = NEVER

    def enter(self) -> Callable[[], None]:
        """One more waits; what is called when it does no longer, once or more often."""
        self._waiting += 1
        waits = True

        def leave() -> None:
            nonlocal waits
            if waits:
                waits = False
                self._waiting -= 1
                if self._waiting < MOST_WAITING:
                    self._standing_since = NEVER

        return leave

    def stands(self, now: float) -> float:
        """For how many seconds more have been waiting than may, below 0 where they have not."""
        if self._waiting < MOST_WAITING:
            return -1.0
        self._standing_since = min(self._standing_since, now)
        return now - self._standing_since


class Shedding:
    """An ASGI middleware that answers 503 in place of the application while it is overloaded.

    Only what asks a model is refused: health checks and lists cost next to nothing, and tell who operates it.
    """

    def __init__(self, app: ASGIApp, queue: Queue, lag: LoopLag, most_lag: float, most_requests: int) -> None:
        """`most_lag`: seconds that the event loop may be late; `most_requests`: that may be under way at once."""
        self._app = app
        self._queue = queue
        self._lag = lag
        self._most_lag = most_lag
        self._most_requests = most_requests
        self._under_way = 0
        self._refused_at = -NEVER
        self._refused = 0
        self._told = -NEVER

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._most_requests or self._overloaded(time.monotonic()):
            await self._refuse(scope, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1

    def _overloaded(self, now: float) -> bool:
        """Whether requests have been waiting for the edge, and the edge for its processor; a slow router is another matter."""
        stands = self._queue.stands(now)
        enough = stands >= BURST or (stands >= 0 and now - self._refused_at < QUIET)
        if not enough or self._lag.seconds <= self._most_lag:
            return False
        self._refused_at = now
        return True

    async def _refuse(self, scope: Scope, send: Send) -> None:
        self._tell()
        error = errors.overloaded()
        body = forms.error_body(scope["path"], error)
        headers = {**error.headers, "content-type": "application/json", "content-length": str(len(body))}
        told = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": error.status, "headers": told})
        await send({"type": "http.response.body", "body": body})

    def _tell(self) -> None:
        self._refused += 1
        now = time.monotonic()
        if now - self._told >= QUIET:
            # A line for each would be work for nothing at the worst of times.
            lag = round(self._lag.seconds * 1000)
            telemetry.problem("overloaded", refused=self._refused, under_way=self._under_way, lag_ms=lag)
            self._told, self._refused = now, 0
