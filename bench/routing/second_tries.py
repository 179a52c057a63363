"""Models what no record says: what a model's second try at a task comes to, as the router's priors would have it."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.routing.pools import Pool, retry_success
from bench.routing.tables import Answer, Table
from bench.routing.verifiers import Verifier

# Aider asks again three times at most.
MOST_REPLIES = 4


@dataclass(frozen=True, slots=True)
class Again:
    """A modelled second try of the same model at the same task: its answer, and whether the verifier objects to it."""

    answer: Answer
    objected: bool


SecondTries = Mapping[str, tuple[Again, ...]]
Verdicts = Mapping[str, tuple[bool, ...]]


def second_tries(table: Table, pool: Pool, verifier: Verifier, seed: int) -> SecondTries:
    """Each model's second try at each task, drawn: it mends the share of failures that the model's prior says.

    It costs what the first one did.
    """
    draw = random.Random(f"second tries {seed}")  # noqa: S311 - a simulation
    found = {}
    for model, prior in sorted(pool.priors.items()):
        tries = []
        for first in table.answers[model]:
            score = 1.0 if draw.random() < retry_success(prior) else first.score
            tries.append(Again(Answer(score, first.cost), draw.random() < verifier.rate(score)))
        found[model] = tuple(tries)
    return found


def alone(table: Table, verdicts: Verdicts, again: SecondTries) -> Mapping[str, tuple[Answer, ...]]:
    """What each model alone comes to when it is asked again as often as Aider does: what a router has to beat then.

    A third try is taken to say what the second one said.
    """
    return {
        model: tuple(
            _asked_again(first, entry) if objected else first
            for first, objected, entry in zip(table.answers[model], verdicts[model], tries, strict=True)
        )
        for model, tries in again.items()
    }


def mean_table(table: Table, draws: Sequence[Mapping[str, tuple[Answer, ...]]]) -> Table:
    """The table with the mean of several draws of its models' answers."""
    answers = {
        model: tuple(_mean([drawn[model][task] for drawn in draws]) for task in range(len(table.tasks)))
        for model in draws[0]
    }
    return replace(table, answers=answers)


def _asked_again(first: Answer, second: Again) -> Answer:
    replies = MOST_REPLIES - 1 if second.objected else 1
    return Answer(second.answer.score, first.cost + replies * second.answer.cost)


def _mean(answers: Sequence[Answer]) -> Answer:
    return Answer(statistics.fmean(entry.score for entry in answers), statistics.fmean(entry.cost for entry in answers))
