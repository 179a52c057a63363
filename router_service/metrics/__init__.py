"""Prometheus metrics for whoever operates the router, on a port of their own; imported only where that is switched on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Container
from dataclasses import dataclass

from router_service import __version__, telemetry
from router_service.metrics.counting import Counting
from router_service.metrics.families import Families
from router_service.metrics.scraping import MetricsServer

__all__ = ["Metrics", "Watched"]

# Seconds between two looks at how late the event loop is.
LOOK = 0.25


@dataclass(frozen=True, slots=True)
class Watched:
    """Where to look when somebody scrapes, from another thread than the event loop's.

    `models`: those that a label may name; `queued` and `dropped`: the ledger's; `breaker`: the state of Not Diamond's;
    `config_ok`: whether the latest configuration is in use.
    """

    models: Callable[[], Container[str]]
    queued: Callable[[], int]
    dropped: Callable[[], int]
    breaker: Callable[[], int]
    config_ok: Callable[[], bool]


class Metrics:
    """Counts from when it is told what to watch, and is scraped from then on."""

    def __init__(self, listen: str) -> None:
        """`listen`: HOST:PORT; OSError where it cannot be listened on."""
        self._families = Families(__version__)
        self._server = MetricsServer(listen, self._families.registry)
        # Scrapers may come at the same time.
        self._lock = threading.Lock()
        self._dropped = 0

    async def watch(self, watched: Watched) -> None:
        """Count what is told and look at these parts, until cancelled."""
        telemetry.listen(Counting(self._families, watched.models))
        self._server.start(lambda: self._look(watched))
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK
            await asyncio.sleep(LOOK)
            self._families.lag.observe(max(0.0, loop.time() - due))

    def _look(self, watched: Watched) -> None:
        to = self._families
        with self._lock:
            to.queued.set(watched.queued())
            dropped = watched.dropped()
            to.dropped.inc(dropped - self._dropped)
            self._dropped = dropped
            to.breakers.of("not_diamond").set(watched.breaker())
            to.config_ok.set(watched.config_ok())
