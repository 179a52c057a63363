"""The outcomes of replies as fading counts: by tenant, purpose, edit format and model, bounded in number.

Forgetting goes by number and not by time: an outcome loses its weight as later ones come in, so that a quiet week forgets
nothing and a busy hour notices a change. A model's own outcomes fade first; those of others let what is known of a model
that nobody asks any more fade too, so that it gets another chance.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cachetools import LRUCache

from router_service.domain import FAILURES, Outcome, Purpose
from router_service.records import Verdict

# Outcomes that tell whether the model managed; the others (nothing to edit, interrupted, …) say nothing of its quality.
TELLING = FAILURES | {Outcome.APPLIED}
# What a model is compared with, the long run, fades so many times slower than its own recent outcomes.
SLOWNESS = 10.0
# A model whose latest outcomes differ from those before by so many standard deviations has changed.
LATEST, DEVIATIONS = 30, 4.0
# Who counts is the callers' word, so it is bounded: tenants and purposes; their edit formats; models of one of those.
MOST_GROUPS, MOST_FORMATS, MOST_MODELS = 4_096, 16, 256

Weights = dict[Outcome, float]


class Counts:
    """One model's outcomes: `recent` says how it fares now, `settled` how it fared in the long run before the `latest`."""

    __slots__ = ("added", "changed", "latest", "recent", "seen", "settled")

    def __init__(self) -> None:
        self.added = 0
        # The number of the outcome at which it was found changed; 0 when it was not, or has long been as it is.
        self.changed = 0
        # How many outcomes its pool had when it had its last one.
        self.seen = 0
        self.latest: deque[Outcome] = deque()
        self.recent: Weights = {}
        self.settled: Weights = {}

    def add(self, outcome: Outcome, memory: float) -> int:
        """Take in an outcome; the number it has in the order of outcomes."""
        self.added += 1
        self.latest.append(outcome)
        if len(self.latest) > LATEST:
            _fade(self.settled, memory * SLOWNESS)
            _gain(self.settled, self.latest.popleft())
        _fade(self.recent, memory)
        _gain(self.recent, outcome)
        if self.changed and self.added - self.changed > memory:
            self.changed = 0
        if not self.changed and self._differs():
            self.changed = self.added
            self.recent = {known: float(number) for known, number in Counter(self.latest).items()}
        return self.added

    def replace(self, number: int, before: Outcome, after: Outcome, memory: float) -> None:
        """Take outcome `number` for another one than was thought, with the weight that is left of it."""
        age = self.added - number
        if age < len(self.latest):
            self.latest[len(self.latest) - 1 - age] = after
        else:
            _move(self.settled, before, after, (1 - 1 / (memory * SLOWNESS)) ** (age - LATEST))
        if number > self.changed - LATEST or not self.changed:
            _move(self.recent, before, after, (1 - 1 / memory) ** age)

    def long_run(self) -> Weights:
        """How the model fared in the long run; what came since it changed is left out."""
        return self.settled if self.changed else self.total()

    def total(self) -> Weights:
        """All outcomes, fading slowly."""
        total = dict(self.settled)
        for outcome in self.latest:
            _gain(total, outcome)
        return total

    def _differs(self) -> bool:
        before = succeeded(self.settled) + failed(self.settled)
        if before < LATEST:
            return False
        good = sum(outcome not in FAILURES for outcome in self.latest)
        share = (succeeded(self.settled) + good) / (before + LATEST)
        variance = share * (1 - share) * (1 / before + 1 / LATEST)
        return abs(succeeded(self.settled) / before - good / LATEST) > DEVIATIONS * math.sqrt(variance)


@dataclass(frozen=True, slots=True)
class Entry:
    """Where an outcome was counted, so that a later verdict on the same reply can replace it."""

    counts: Counts
    pool: Pool
    number: int
    outcome: Outcome


class Pool:
    """The outcomes of all models for one tenant, purpose and edit format; `version` changes with each."""

    __slots__ = ("added", "first", "later", "version")

    def __init__(self) -> None:
        self.version = self.added = 0
        # Replies to a user's request, and those that had an earlier reply's failure to mend, by model.
        self.first: dict[str, Counts] = {}
        self.later: dict[str, Counts] = {}

    def add(self, verdict: Verdict, memory: float) -> Entry | None:
        """Count a verdict; None when there are too many models already."""
        models = self.first if verdict.first else self.later
        counts = models.get(verdict.model)
        if counts is None:
            if len(models) >= MOST_MODELS:
                return None
            counts = models[verdict.model] = Counts()
        self.version += 1
        self.added += 1
        counts.seen = self.added
        return Entry(counts, self, counts.add(verdict.outcome, memory), verdict.outcome)

    def kept(self, counts: Counts, memory: float) -> float:
        """The weight that a model's outcomes have kept while others had theirs."""
        return math.exp((counts.seen - self.added) / (memory * SLOWNESS))


class Evidence:
    """All pools that one length of memory leads to; `memory`: how many of a model's latest outcomes count."""

    def __init__(self, memory: float) -> None:
        self.memory = memory
        self._groups: LRUCache[tuple[str, Purpose], dict[str, Pool]] = LRUCache(MOST_GROUPS)

    def add(self, verdict: Verdict, known: Entry | None) -> Entry | None:
        """Count a verdict, in the place of the one that is `known` of the same reply; None when it is not counted."""
        if known is not None:
            if known.outcome is not verdict.outcome:
                known.counts.replace(known.number, known.outcome, verdict.outcome, self.memory)
                known.pool.version += 1
            return Entry(known.counts, known.pool, known.number, verdict.outcome)
        formats = self._groups.setdefault((verdict.tenant, verdict.purpose), {})
        pool = formats.get(verdict.edit_format)
        if pool is None:
            if len(formats) >= MOST_FORMATS:
                return None
            pool = formats[verdict.edit_format] = Pool()
        return pool.add(verdict, self.memory)

    def pool(self, tenant: str, purpose: Purpose, edit_format: str) -> Pool | None:
        """The pool of a tenant, purpose and edit format; None when there were no outcomes yet."""
        return self._groups.get((tenant, purpose), {}).get(edit_format)

    def pools(self, tenant: str, purpose: Purpose) -> Iterator[Pool]:
        """The pools of a tenant and purpose, whatever the edit format."""
        return iter(self._groups.get((tenant, purpose), {}).values())


def succeeded(weights: Mapping[Outcome, float]) -> float:
    """How many replies were applied and kept."""
    return weights.get(Outcome.APPLIED, 0.0)


def failed(weights: Mapping[Outcome, float]) -> float:
    """How many replies failed, in any way."""
    return sum(weight for outcome, weight in weights.items() if outcome in FAILURES)


def _fade(weights: Weights, memory: float) -> None:
    for outcome in weights:
        weights[outcome] *= 1 - 1 / memory


def _gain(weights: Weights, outcome: Outcome, weight: float = 1.0) -> None:
    weights[outcome] = weights.get(outcome, 0.0) + weight


def _move(weights: Weights, before: Outcome, after: Outcome, weight: float) -> None:
    weight = min(weight, weights.get(before, 0.0))
    _gain(weights, before, -weight)
    _gain(weights, after, weight)
