"""Replays tasks through the shipped Selection: it chooses, the record answers, a simulated verifier objects, and so on."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.routing.pools import PROFILE, Pool, catalog_of, model_id
from bench.routing.tables import Table
from router_service.domain import Decision, Message, Outcome, PreviousReply, Purpose, Report, Request
from router_service.pins import Pins
from router_service.selection import Selection
from router_service.stores.memory import MemoryStore

START = 1_900_000_000.0
SECONDS_PER_TASK = 60.0


@dataclass(frozen=True, slots=True)
class Verifier:
    """How often it objects: `wrong` to a reply that is wrong (its TPR), `right` to one that is right (its FPR)."""

    wrong: float
    right: float

    @property
    def name(self) -> str:
        """As tables show it."""
        return f"{self.wrong:g}/{self.right:g}".replace("0.", ".")


VERIFIERS = (Verifier(0.9, 0.1), Verifier(0.7, 0.1), Verifier(0.5, 0.1), Verifier(0.5, 0.5))


@dataclass(frozen=True, slots=True)
class Run:
    """What became of each task, in the table's order, not in that of the replay.

    `scores`: of the last reply; `costs`: of all replies; `first`: the model that was asked first; `replies`: how many there
    were. `stayed`: of the objections in each tenth of the replay's own order, the share that moved nothing.
    """

    scores: tuple[float, ...]
    costs: tuple[float, ...]
    first: tuple[str, ...]
    replies: tuple[int, ...]
    stayed: tuple[float, ...]
    distrusted_after: int | None


def objections(
    table: Table, models: Sequence[str], verifier: Verifier, seed: int, shuffled: bool = False
) -> Mapping[str, tuple[bool, ...]]:
    """Whether the verifier objects to each model's answer to each task.

    A partly right answer is objected to in proportion. `shuffled`: the same verdicts, dealt out to the tasks anew, so that
    they tell nothing of the task they are given for: the control.
    """
    draw = random.Random(f"verifier {seed}")  # noqa: S311 - a simulation
    deal = list(range(len(table.tasks)))
    random.Random(f"shuffle {seed}").shuffle(deal)  # noqa: S311 - a simulation
    verdicts = {}
    for model in sorted(models):
        rates = [verifier.right * a.score + verifier.wrong * (1 - a.score) for a in table.answers[model]]
        found = [draw.random() < rate for rate in rates]
        verdicts[model] = tuple(found[place] for place in deal) if shuffled else tuple(found)
    return verdicts


async def replay(
    table: Table, pool: Pool, verdicts: Mapping[str, tuple[bool, ...]], seed: int, learning: str = "off"
) -> Run:
    """All tasks once, in an order drawn by the seed, each a conversation of its own, through one Selection."""
    clock = _Clock()
    selection = _selection(table, pool, learning, clock)
    names = {model_id(model): model for model in pool.priors}
    order = list(range(len(table.tasks)))
    random.Random(f"order {seed}").shuffle(order)  # noqa: S311 - a simulation
    told: dict[int, _Told] = {}
    for task in order:
        clock.now += SECONDS_PER_TASK
        told[task] = await _converse(selection, names, table, verdicts, task, f"{seed}-{table.tasks[task]}")
    ordered = [told[task] for task in range(len(order))]
    distrusted = [place for place, task in enumerate(order) if told[task].distrust]
    return Run(
        scores=tuple(entry.score for entry in ordered),
        costs=tuple(entry.cost for entry in ordered),
        first=tuple(entry.models[0] for entry in ordered),
        replies=tuple(len(entry.models) for entry in ordered),
        stayed=tuple(_stayed([told[task] for task in part]) for part in _tenths(order)),
        distrusted_after=distrusted[0] if distrusted else None,
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """One conversation: the models that answered in turn, what the last answer was worth, what all of them cost."""

    models: tuple[str, ...]
    score: float
    cost: float
    objected: bool
    distrust: str


class _Clock:
    now = START

    def __call__(self) -> float:
        return self.now


def _selection(table: Table, pool: Pool, learning: str, clock: _Clock) -> Selection:
    pins = Pins(MemoryStore(1000, clock=clock))
    return Selection(catalog_of(table, pool, learning), None, pins, 0.0, clock)


async def _converse(
    selection: Selection,
    names: Mapping[str, str],
    table: Table,
    verdicts: Mapping[str, tuple[bool, ...]],
    task: int,
    conversation: str,
) -> _Told:
    """Ask until the verifier is content, or the policy stays with a model that has answered: that answer stands."""
    models: list[str] = []
    cost, distrust, objected = 0.0, "", False
    previous = PreviousReply()
    while True:
        text = f"{conversation}, request {len(models) + 1}"
        request = Request(
            (Message("user", text),),
            profile=PROFILE,
            purpose=Purpose.CODE,
            edit_format="diff",
            conversation_id=conversation,
            previous_reply=previous,
        )
        decision = await selection.select(request, 1.0)
        distrust = distrust or (decision.learning.distrust if decision.learning else "")
        model = names[decision.model]
        if model in models:
            break
        models.append(model)
        cost += table.answers[model][task].cost
        objected = verdicts[model][task]
        _report(selection, decision, objected)
        if not objected:
            break
        previous = PreviousReply(Outcome.COMMAND_FAILED, decision.model, decision.id, len(models))
    # The last reply counts, right or wrong.
    return _Told(tuple(models), table.answers[models[-1]][task].score, cost, verdicts[models[0]][task], distrust)


def _report(selection: Selection, decision: Decision, objected: bool) -> None:
    outcome = Outcome.COMMAND_FAILED if objected else Outcome.APPLIED
    selection.learn(decision, Report(decision.id, decision.model, outcome))


def _tenths(order: Sequence[int]) -> list[Sequence[int]]:
    edges = [len(order) * part // 10 for part in range(11)]
    return [order[low:high] for low, high in pairwise(edges)]


def _stayed(told: Sequence[_Told]) -> float:
    """Of the conversations whose first answer was objected to, the share that kept it."""
    objected = [entry for entry in told if entry.objected]
    return sum(len(entry.models) == 1 for entry in objected) / len(objected) if objected else 0.0
