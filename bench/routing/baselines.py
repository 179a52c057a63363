"""What a router has to beat (mixes of fixed models, the zero router, a table by task type), and what none can: the oracle."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from bench.routing.tables import Answer, Table

Point = tuple[float, float]
FOLDS = 5
# What a dollar is worth in points of quality: from nothing (quality alone) to so much that the cheapest always wins.
WORTHS = (0.0, *(10 ** (step / 2) for step in range(-4, 9)))


def hull(points: Iterable[Point]) -> list[Point]:
    """The upper convex hull of (cost, quality), as far as more money buys more: mixes of its corners are the zero router."""
    corners: list[Point] = []
    for point in sorted(points, key=lambda point: (point[0], -point[1])):
        if corners and point[1] <= corners[-1][1]:
            continue
        while len(corners) > 1 and _slope(corners[-2], point) >= _slope(corners[-2], corners[-1]):
            corners.pop()
        corners.append(point)
    return corners


def at(corners: Sequence[Point], cost: float) -> float:
    """The quality that a random mix of a hull's corners has at a cost; beyond its ends, that of the end."""
    if cost <= corners[0][0]:
        return corners[0][1]
    for low, high in pairwise(corners):
        if cost <= high[0]:
            return low[1] + _slope(low, high) * (cost - low[0])
    return corners[-1][1]


def area(corners: Sequence[Point], low: float, high: float) -> float:
    """AIQ: the mean quality of a hull over the costs from `low` to `high`."""
    stops = sorted({low, high, *(cost for cost, _ in corners if low < cost < high)})
    pieces = pairwise(stops)
    return sum((at(corners, a) + at(corners, b)) / 2 * (b - a) for a, b in pieces) / (high - low)


def oracle(table: Table, models: Sequence[str]) -> list[Answer]:
    """By task, the cheapest of the best answers; where none is worth anything, the cheapest answer."""
    return [
        min((table.answers[model][task] for model in models), key=lambda answer: (-answer.score, answer.cost))
        for task in range(len(table.tasks))
    ]


def by_type(table: Table, models: Sequence[str], worth: float) -> list[str]:
    """By task, the model that was best for its type on the other folds of the tasks; a dollar is worth `worth` points."""
    order = list(range(len(table.tasks)))
    random.Random("folds").shuffle(order)  # noqa: S311 - a simulation
    chosen = [""] * len(order)
    for fold in range(FOLDS):
        held = set(order[fold::FOLDS])
        best = {
            kind: _best(table, models, tasks, worth)
            for kind, tasks in _by_kind(table, (task for task in order if task not in held)).items()
        }
        for task in held:
            chosen[task] = best[table.kinds[task]]
    return chosen


def typed(table: Table, models: Sequence[str]) -> list[list[Answer]]:
    """By task, the answers of tables by type, one table for each worth of a dollar; none where tasks have no types."""
    if not any(table.kinds):
        return []
    return [picked(table, by_type(table, models, worth)) for worth in WORTHS]


def picked(table: Table, chosen: Sequence[str]) -> list[Answer]:
    """By task, the answer of the model that was chosen for it."""
    return [table.answers[model][task] for task, model in enumerate(chosen)]


def unseen_type(table: Table, models: Sequence[str], worth: float) -> list[str]:
    """The same when a task's type is in no row of the table: the model that was best on all the other types together."""
    kinds = _by_kind(table, range(len(table.tasks)))
    best = {
        kind: _best(table, models, [task for other, tasks in kinds.items() if other != kind for task in tasks], worth)
        for kind in kinds
    }
    return [best[kind] for kind in table.kinds]


def _by_kind(table: Table, tasks: Iterable[int]) -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for task in tasks:
        found[table.kinds[task]].append(task)
    return found


def _best(table: Table, models: Sequence[str], tasks: Sequence[int], worth: float) -> str:
    def value(model: str) -> float:
        answers = table.answers[model]
        return sum(answers[task].score - worth * answers[task].cost for task in tasks)

    return max(models, key=value)


def _slope(low: Point, high: Point) -> float:
    return (high[1] - low[1]) / (high[0] - low[0])
