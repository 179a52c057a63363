"""Tables of recorded results: what each model's one answer to each task was worth, and what it cost in US dollars."""

from __future__ import annotations

import csv
import gzip
import os
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

DATA = Path(os.environ.get("SHARED_DIR", Path(__file__).resolve().parents[3] / "shared")) / "routing_data"
SWEBENCH = DATA / "swebench_verified_bash_only_20251210.csv.gz"
CODEROUTERBENCH = DATA / "coderouterbench_id_test_2919x8.csv.gz"


@dataclass(frozen=True, slots=True)
class Answer:
    """One model's recorded answer to one task: its score from 0 (wrong) to 1 (right), its cost in US dollars."""

    score: float
    cost: float


@dataclass(frozen=True, slots=True)
class Table:
    """Answers by model, in the order of the tasks; `kinds` are the tasks' types, empty where they have none.

    `committable`: whether the licence lets figures derived from it be published with the project; `recorded`: whether it is
    of real answers.
    """

    name: str
    source: str
    tasks: tuple[str, ...]
    kinds: tuple[str, ...]
    answers: Mapping[str, tuple[Answer, ...]]
    committable: bool
    recorded: bool = True

    def quality(self, model: str) -> float:
        """The mean score of a model that answers every task."""
        return sum(answer.score for answer in self.answers[model]) / len(self.tasks)

    def cost(self, model: str) -> float:
        """The mean cost of a model that answers every task."""
        return sum(answer.cost for answer in self.answers[model]) / len(self.tasks)


def read_swebench(file: Path = SWEBENCH) -> Table:
    """SWE-bench Verified with mini-SWE-agent: 500 tasks, resolved or not; OSError when the file is not there."""
    # Claude 3.7's row was run with other limits, so it is not comparable.
    rows = (row for row in _rows(file) if not row["model"].startswith("Claude 3.7"))
    cells = (
        (row["instance_id"], "", row["model"], Answer(float(row["resolved"]), float(row["cost_usd"]))) for row in rows
    )
    return _table("swebench", "SWE-bench Verified, bash only, 2025-12-10 (CC BY-NC 4.0)", cells, committable=False)


def read_coderouterbench(file: Path = CODEROUTERBENCH) -> Table:
    """CodeRouterBench's test tasks, scored 0 to 1; OSError when the file is not there.

    A task that a model answered without a token record has no cost, and is left out for all.
    """
    rows = list(_rows(file))
    unpriced = {row["task_id"] for row in rows if row["cost_source"] != "token_log_pricing"}
    cells = (
        (row["task_id"], row["dimension"], row["model"], Answer(float(row["score"]), float(row["cost_usd"])))
        for row in rows
        if row["task_id"] not in unpriced
    )
    return _table("coderouterbench", "CodeRouterBench id_test (MIT)", cells, committable=True)


def hand_made(tasks: int = 400) -> Table:
    """A made-up table for a checkout without the data: the strong model solves more, and both miss some."""
    draw = random.Random(4)  # noqa: S311 - a simulation
    solved = {"small": 0.4, "large": 0.9}
    price = {"small": 0.002, "large": 0.05}
    cells = []
    for number in range(tasks):
        hardness = draw.random()
        for model, share in solved.items():
            luck = (hardness + draw.random()) / 2 < share
            cells.append((f"task-{number}", "", model, Answer(float(luck), price[model])))
    return replace(_table("hand_made", "a made-up table", cells, committable=False), recorded=False)


def _rows(path: Path) -> Iterable[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _table(name: str, source: str, cells: Iterable[tuple[str, str, str, Answer]], committable: bool) -> Table:
    """Only tasks that every model answered are kept."""
    found: dict[str, dict[str, Answer]] = defaultdict(dict)
    kinds: dict[str, str] = {}
    for task, kind, model, answer in cells:
        found[task][model] = answer
        kinds[task] = kind
    models = sorted({model for answers in found.values() for model in answers})
    tasks = tuple(task for task, answers in found.items() if len(answers) == len(models))
    by_model = {model: tuple(found[task][model] for task in tasks) for model in models}
    return Table(name, source, tasks, tuple(kinds[task] for task in tasks), by_model, committable)
