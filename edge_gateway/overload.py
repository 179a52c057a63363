"""Refuses requests at once while more have come than can be served in time, so that the others are."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from starlette.types import ASGIApp, Receive, Scope, Send

from edge_gateway import errors, forms, telemetry

# Seconds between two looks at how late the event loop is, and how many of them have to agree: one large prompt that is read
# holds up a single one, a queue that grows all of them.
BEAT, AGREEING = 0.02, 3
# Seconds between two lines of the log about it.
QUIET = 1.0


class LoopLag:
    """How late the event loop runs what is due, in seconds: what everything that waits for its turn waits at least."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque([0.0] * AGREEING, maxlen=AGREEING)

    @property
    def seconds(self) -> float:
        """The least of the last few looks."""
        return min(self._latest)

    async def watch(self) -> None:
        """Look, again and again, until cancelled."""
        while True:
            due = time.monotonic() + BEAT
            await asyncio.sleep(BEAT)
            self._latest.append(time.monotonic() - due)


class Shedding:
    """An ASGI middleware that answers 503 in place of the application while it is overloaded.

    Only what asks a model is refused: health checks and lists cost next to nothing, and tell who operates it.
    """

    def __init__(self, app: ASGIApp, lag: LoopLag, most_lag: float, most_requests: int) -> None:
        """`most_lag`: seconds that the event loop may be late; `most_requests`: that may be under way at once."""
        self._app = app
        self._lag = lag
        self._most_lag = most_lag
        self._most_requests = most_requests
        self._under_way = 0
        self._refused = 0
        self._told = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._most_requests or self._lag.seconds > self._most_lag:
            await self._refuse(scope, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1

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
