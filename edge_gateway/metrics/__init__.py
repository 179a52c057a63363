"""Prometheus metrics for whoever operates the edge, on a port of their own; imported only where that is switched on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container

from edge_gateway import __version__, telemetry
from edge_gateway.metrics.counting import Counting
from edge_gateway.metrics.families import Families
from edge_gateway.metrics.looking import Looking, Watched
from edge_gateway.metrics.scraping import MetricsServer

__all__ = ["Metrics", "Watched"]

# Seconds between two looks at how late the event loop is.
LOOK = 0.25


class Metrics:
    """Counts from when it is told what to watch, and is scraped from then on."""

    def __init__(self, listen: str) -> None:
        """`listen`: HOST:PORT; OSError where it cannot be listened on."""
        self._families = Families(__version__)
        self._server = MetricsServer(listen, self._families.registry)

    async def watch(self, watched: Watched, models: Callable[[], Container[str]]) -> None:
        """Count what is told and look at these parts, until cancelled. `models`: those that a label may name."""
        counting = Counting(self._families, models)
        telemetry.listen(counting.hear)
        loop = asyncio.get_running_loop()
        # Not the loop's own clock: uvloop's stands still with the loop.
        turned = time.monotonic()
        self._server.start(Looking(self._families, watched, counting.model).look, lambda: time.monotonic() - turned)
        while True:
            due = loop.time() + LOOK
            await asyncio.sleep(LOOK)
            turned = time.monotonic()
            self._families.lag.observe(max(0.0, loop.time() - due))
