"""The tasks, and which of eight models solved each at what cost: CodeRouterBench, or made up where it is not at hand."""

import csv
import gzip
import math
import random
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.processes import SHARED

DATA = SHARED / "routing_data" / "coderouterbench_id_test_2919x8.csv.gz"


@dataclass(frozen=True)
class World:
    """Tasks by type; per task and model: solved or not, and US dollars."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    tasks: tuple[tuple[str, dict[str, tuple[bool, float]]], ...]

    @cached_property
    def rates(self) -> dict[str, float]:
        """The share of the tasks that each model solves."""
        return {name: statistics.fmean(row[name][0] for _, row in self.tasks) for name in self.names}

    @cached_property
    def costs(self) -> dict[str, float]:
        """Mean US dollars a task, by model."""
        return {name: statistics.fmean(row[name][1] for _, row in self.tasks) for name in self.names}


def read(data: Path = DATA) -> World:
    """The recorded tasks; one that a model answered without a token record has no cost, and is left out for all."""
    rows: dict[str, tuple[str, dict[str, tuple[bool, float]]]] = {}
    unpriced = set()
    with gzip.open(data, "rt") as file:
        for row in csv.DictReader(file):
            _, models = rows.setdefault(row["task_id"], (row["dimension"], {}))
            models[row["model"]] = (float(row["score"]) >= 0.5, float(row["cost_usd"]))
            if row["cost_source"] != "token_log_pricing":
                unpriced.add(row["task_id"])
    return world_of(row for task, row in rows.items() if task not in unpriced)


def make_up() -> World:
    draw, rows = random.Random(1), []  # noqa: S311 - a simulation
    for number in range(2000):
        kind = number % 5
        rates = [0.35 + 0.05 * model + 0.15 * math.sin(model * 2 + kind) for model in range(8)]
        rows.append((f"t{kind}", {f"m{m}": (draw.random() < rate, 0.0005 * 1.6**m) for m, rate in enumerate(rates)}))
    return world_of(rows)


def world_of(rows: Iterable[tuple[str, dict[str, tuple[bool, float]]]]) -> World:
    tasks = tuple(rows)
    return World(tuple(sorted(tasks[0][1])), tuple(sorted({kind for kind, _ in tasks})), tasks)


def logit(share: float) -> float:
    return math.log(share / (1 - share))
