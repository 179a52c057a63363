"""Compares replays with the baselines, with bootstrap intervals over tasks and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from bench.routing import baselines
from bench.routing.baselines import Point
from bench.routing.pools import Pool
from bench.routing.replay import Run
from bench.routing.tables import Answer, Table

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the bounds of its 95% bootstrap interval."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """What it says of a difference: better, worse, or nothing."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "no difference shown"


class Resamples:
    """The same resamples of tasks, and of seeds, for all comparisons, so that these are paired."""

    def __init__(self, tasks: int, seeds: int) -> None:
        draw = numpy.random.default_rng(7)
        drawn = draw.multinomial(tasks, numpy.full(tasks, 1 / tasks), size=RESAMPLES) / tasks
        # The first is the sample itself.
        self._tasks = numpy.vstack([numpy.full(tasks, 1 / tasks), drawn])
        drawn = draw.multinomial(seeds, numpy.full(seeds, 1 / seeds), size=RESAMPLES) / seeds
        self._seeds = numpy.vstack([numpy.full(seeds, 1 / seeds), drawn])

    def points(self, answers: Sequence[Answer]) -> list[Point]:
        """(cost, quality) of a fixed answer to every task, in every resample."""
        values = numpy.array([[answer.cost, answer.score] for answer in answers])
        return [(cost, quality) for cost, quality in self._tasks @ values]

    def runs(self, runs: Sequence[Run]) -> list[Point]:
        """(cost, quality) of replays, one a seed, in every resample."""
        costs = self._mean(numpy.array([run.costs for run in runs]))
        return list(zip(costs, self._mean(numpy.array([run.scores for run in runs])), strict=True))

    def _mean(self, values: Any) -> Any:
        return ((self._seeds @ values) * self._tasks).sum(axis=1)


def interval(values: Sequence[float]) -> Interval:
    """Of a value in the sample, and then in each resample."""
    low, high = numpy.quantile(numpy.array(values[1:]), [0.025, 0.975])
    return Interval(float(values[0]), float(low), float(high))


@dataclass(frozen=True, slots=True)
class Comparison:
    """One router against the baselines at equal cost; gains in points of quality, costs in US dollars a task.

    `mix`: what a random mix of cheap and strong has at the router's cost. `over_types`: over a table by task type, None where
    tasks have no types.
    """

    quality: float
    cost: float
    mix: float
    over_mix: Interval
    over_zero_router: Interval
    over_types: Interval | None


class Bars:
    """What the routers of one pool have to beat, in every resample."""

    def __init__(self, table: Table, pool: Pool, resamples: Resamples) -> None:
        fixed = {model: resamples.points(table.answers[model]) for model in pool.priors}
        self._cheap, self._strong = fixed[pool.cheap], fixed[pool.strong]
        self._hulls = [baselines.hull(points) for points in zip(*fixed.values(), strict=True)]
        # A table by type for each worth of a dollar: together they are a curve.
        curve = [resamples.points(answers) for answers in baselines.typed(table, list(pool.priors))]
        self._types = [baselines.hull(points) for points in zip(*curve, strict=True)]

    @property
    def types(self) -> list[Point]:
        """The (cost, quality) that tables by task type reach in the sample itself; empty where tasks have no types."""
        return self._types[0] if self._types else []

    def over_mix(self, points: Sequence[Point]) -> list[float]:
        """Points of quality over the random mix of equal cost, in every resample."""
        return [100 * (point[1] - self._mix(number, point[0])) for number, point in enumerate(points)]

    def compare(self, points: Sequence[Point]) -> Comparison:
        """A router's (cost, quality) in every resample, compared in the same resample."""
        return Comparison(
            quality=float(points[0][1]),
            cost=float(points[0][0]),
            mix=float(self._mix(0, points[0][0])),
            over_mix=interval(self.over_mix(points)),
            over_zero_router=interval(_over(points, self._hulls)),
            over_types=interval(_over(points, self._types)) if self._types else None,
        )

    def _mix(self, number: int, cost: float) -> float:
        return baselines.at([self._cheap[number], self._strong[number]], cost)


def _over(points: Sequence[Point], hulls: Sequence[Sequence[Point]]) -> list[float]:
    """Points of quality over a hull at equal cost, in every resample."""
    paired = zip(points, hulls, strict=True)
    return [100 * (quality - baselines.at(corners, cost)) for (cost, quality), corners in paired]
