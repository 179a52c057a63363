"""Replays tasks through the shipped Selection: it chooses, the record answers, a simulated verifier objects, and so on."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.routing.pools import PROFILE, Pool, catalog_of, model_id
from bench.routing.second_tries import MOST_REPLIES, Again, SecondTries, Verdicts
from bench.routing.tables import Table
from router_service.domain import Decision, Message, Outcome, PreviousReply, Purpose, Request
from router_service.pins import Pins
from router_service.records import Report
from router_service.selection import Selection
from router_service.stores.memory import MemoryStore

START = 1_900_000_000.0
SECONDS_PER_TASK = 60.0


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


async def replay(
    table: Table,
    pool: Pool,
    verdicts: Verdicts,
    seed: int,
    learning: str = "off",
    again: SecondTries | None = None,
) -> Run:
    """All tasks once, in an order drawn by the seed, each a conversation of its own, through one Selection.

    `again`: second tries, where they are modelled; the policy then keeps its shipped rule of when to grant one, and whenever
    it stays on the model after an objection, the model is asked again and paid again, as Aider would.
    """
    clock = _Clock()
    selection = _selection(table, pool, learning, again is not None, clock)
    place = _Place(table, verdicts, again)
    names = {model_id(model): model for model in pool.priors}
    order = list(range(len(table.tasks)))
    random.Random(f"order {seed}").shuffle(order)  # noqa: S311 - a simulation
    told: dict[int, _Told] = {}
    for task in order:
        clock.now += SECONDS_PER_TASK
        told[task] = await _converse(selection, names, place, task, f"{seed}-{table.tasks[task]}")
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


@dataclass(frozen=True, slots=True)
class _Place:
    """What a model's answers are worth, and what the verifier says of them."""

    table: Table
    verdicts: Verdicts
    again: SecondTries | None

    def ask(self, model: str, task: int, before: Sequence[str]) -> Again | None:
        """The model's answer after those `before`; None where the conversation ends without it."""
        if model not in before:
            return Again(self.table.answers[model][task], self.verdicts[model][task])
        # A third try of the same model is taken to say what its second one said.
        return None if self.again is None or len(before) >= MOST_REPLIES else self.again[model][task]


class _Clock:
    now = START

    def __call__(self) -> float:
        return self.now


def _selection(table: Table, pool: Pool, learning: str, again: bool, clock: _Clock) -> Selection:
    pins = Pins(MemoryStore(1000, clock=clock))
    return Selection(catalog_of(table, pool, learning, again), None, pins, 0.0, clock)


async def _converse(
    selection: Selection, names: Mapping[str, str], place: _Place, task: int, conversation: str
) -> _Told:
    """Ask until the verifier is content, or the policy stays with a model that has no more to say: its answer stands."""
    models: list[str] = []
    cost, score, distrust = 0.0, 0.0, ""
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
        reply = place.ask(model, task, models)
        if reply is None:
            break
        models.append(model)
        cost += reply.answer.cost
        score = reply.answer.score
        _report(selection, decision, reply.objected)
        if not reply.objected:
            break
        previous = PreviousReply(Outcome.COMMAND_FAILED, decision.model, decision.id, len(models))
    # The last reply counts, right or wrong.
    return _Told(tuple(models), score, cost, place.verdicts[models[0]][task], distrust)


def _report(selection: Selection, decision: Decision, objected: bool) -> None:
    outcome = Outcome.COMMAND_FAILED if objected else Outcome.APPLIED
    selection.learn(decision, Report(decision.id, decision.model, outcome))


def _tenths(order: Sequence[int]) -> list[Sequence[int]]:
    edges = [len(order) * part // 10 for part in range(11)]
    return [order[low:high] for low, high in pairwise(edges)]


def _stayed(told: Sequence[_Told]) -> float:
    """Of the conversations whose first answer was objected to, the share that kept it."""
    objected = [entry for entry in told if entry.objected]
    return sum(len(set(entry.models)) == 1 for entry in objected) / len(objected) if objected else 0.0
