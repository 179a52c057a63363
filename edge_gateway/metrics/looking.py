"""Looks, whenever somebody scrapes, at what the edge's parts know of themselves: it costs the requests nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import Counter

from edge_gateway.metrics.bounded import OTHER
from edge_gateway.metrics.families import Families


@dataclass(frozen=True, slots=True)
class Watched:
    """Where to look; asked from another thread than the event loop's.

    `under_way`: how much of each kind; `refused`: requests since the start that were too many; `retries`: second attempts since
    the start, by who made them and what came of it; `budget`: of those that may be made now; `circuits`: each model's state.
    """

    under_way: Callable[[], Mapping[str, int]]
    refused: Callable[[], int]
    retries: Callable[[], Mapping[tuple[str, str], int]]
    budget: Callable[[], float]
    circuits: Callable[[], Mapping[str, int]]


class Looking:
    """Brings gauges up to date, and counters that were counted elsewhere."""

    def __init__(self, families: Families, watched: Watched, name: Callable[[str], str]) -> None:
        """`name`: a model as a label may name it."""
        self._to = families
        self._watched = watched
        self._name = name
        # Scrapers may come at the same time.
        self._lock = threading.Lock()
        self._seen: dict[Counter, int] = {}

    def look(self) -> None:
        """Once, before an answer to a scraper."""
        to, watched = self._to, self._watched
        with self._lock:
            for kind, count in watched.under_way().items():
                to.inflight.of(kind).set(count)
            refused = watched.refused()
            self._catch_up(to.shed.of("overloaded"), refused)
            # They are requests like others, but were refused before anybody looked at them.
            self._catch_up(to.requests.of(OTHER, "503", "false", "none"), refused)
            for (layer, outcome), count in watched.retries().items():
                self._catch_up(to.retries.of(layer, outcome), count)
            to.budget.set(watched.budget())
            self._look_at_circuits(watched.circuits())

    def _look_at_circuits(self, states: Mapping[str, int]) -> None:
        # A model that is well again is no longer among them.
        found = dict.fromkeys((target for (target,) in self._to.breakers.known()), 0)
        for model, state in states.items():
            target = self._name(model)
            found[target] = max(state, found.get(target, 0))
        for target, state in found.items():
            self._to.breakers.of(target).set(state)

    def _catch_up(self, counter: Counter, count: int) -> None:
        counter.inc(count - self._seen.get(counter, 0))
        self._seen[counter] = count
