"""Simulated verifiers: how often they object to a reply that is wrong, and to one that is right."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.routing.tables import Table


@dataclass(frozen=True, slots=True)
class Verifier:
    """How often it objects: `wrong` to a reply that is wrong (its TPR), `right` to one that is right (its FPR)."""

    wrong: float
    right: float

    @property
    def name(self) -> str:
        """As tables show it."""
        return f"{self.wrong:g}/{self.right:g}".replace("0.", ".")

    def rate(self, score: float) -> float:
        """How often it objects to an answer of this score: to a partly right one in proportion."""
        return self.right * score + self.wrong * (1 - score)


VERIFIERS = (Verifier(0.9, 0.1), Verifier(0.7, 0.1), Verifier(0.5, 0.1), Verifier(0.5, 0.5))


def objections(
    table: Table, models: Sequence[str], verifier: Verifier, seed: int, shuffled: bool = False
) -> Mapping[str, tuple[bool, ...]]:
    """Whether the verifier objects to each model's answer to each task.

    `shuffled`: the same verdicts, dealt out to the tasks anew, so that they tell nothing of the task they are given for: the
    control.
    """
    draw = random.Random(f"verifier {seed}")  # noqa: S311 - a simulation
    deal = list(range(len(table.tasks)))
    random.Random(f"shuffle {seed}").shuffle(deal)  # noqa: S311 - a simulation
    verdicts = {}
    for model in sorted(models):
        found = [draw.random() < verifier.rate(answer.score) for answer in table.answers[model]]
        verdicts[model] = tuple(found[place] for place in deal) if shuffled else tuple(found)
    return verdicts
