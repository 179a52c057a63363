"""The local policy: ranks candidates by prior quality and expected cost, weighed by the cost_quality_tradeoff.

The score is (1 - w) * quality - w * cost, with w = tradeoff / 10 and cost the logarithm of the expected dollars scaled to
0..1 over the candidates. Any such score moves the choice monotonically: a higher tradeoff never picks a dearer model.
The task type decides more than the prompt does (and the prompt hardly at all), so no prompt classifier stands here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import field
from msgspec.structs import replace

from router_service import economics
from router_service.catalog import Model
from router_service.domain import Purpose, Ranked, Requirements, Word
from router_service.standings import Standing

# Dollars below which two costs count as equal: keeps free models (local ones) on the logarithmic scale.
SMALLEST_COST_USD = 1e-6


class Learnt(Word, frozen=True):
    """A model's quality after its outcomes, the draw from it that the ranking rests on, and how many outcomes speak."""

    quality: float
    drawn: float
    outcomes: float


class Situation(Word, frozen=True):
    """All that a ranking rests on beside the candidates; `standings` and `observations` are those of its purpose."""

    needs: Requirements
    tradeoff: int
    standings: Mapping[str, Standing]
    warm: economics.Warm | None = None
    observations: economics.Observations = field(default_factory=dict)
    brevity: float = 1.0
    learnt: Mapping[str, Learnt] = field(default_factory=dict)


def cost(standing: Standing, situation: Situation) -> economics.Cost:
    """The expected cost of the situation's request on a model."""
    seen = situation.observations.get(standing.id)
    return economics.expected_cost(standing, situation.needs, seen, situation.brevity, situation.warm)


def rank(models: Sequence[Model], situation: Situation) -> tuple[Ranked, ...]:
    """The models, best first; equal scores go to the cheaper, then to the earlier in the profile."""
    standings = [situation.standings[model.id] for model in models]
    costs = [cost(standing, situation) for standing in standings]
    scaled = _scale([math.log(expected.total + SMALLEST_COST_USD) for expected in costs])
    weight, known = situation.tradeoff / 10, situation.learnt
    rows = []
    for position, standing in enumerate(standings):
        learnt, expected = known.get(standing.id), costs[position]
        drawn = learnt.drawn if learnt else standing.quality
        score = (1 - weight) * drawn - weight * scaled[position]
        rows.append((-score, expected.total, position, score))
    rows.sort()
    return tuple(
        [_ranked(standings[place], costs[place], known.get(standings[place].id), score) for _, _, place, score in rows]
    )


def _ranked(standing: Standing, expected: economics.Cost, learnt: Learnt | None, score: float) -> Ranked:
    reason = f"{_worth(standing, learnt)}, expected cost ${expected.total:.4f}"
    if expected.switch:
        reason += f" (${expected.switch:.4f} of it for leaving a warm prompt cache)"
    context, prior = standing.context_tokens, standing.quality
    if learnt is None:
        return Ranked(standing.id, reason, expected.total, context, prior, score, expected.switch)
    worth, outcomes = learnt.quality, learnt.outcomes
    return Ranked(standing.id, reason, expected.total, context, worth, score, expected.switch, prior, outcomes)


def _worth(standing: Standing, learnt: Learnt | None) -> str:
    if learnt is None or not learnt.outcomes:
        return standing.worth
    told = f"learnt from {learnt.outcomes:.0f} replies; {standing.quality:.2f} {standing.origin}"
    return f"quality {learnt.quality:.2f} ({told})"


def with_floor(ranking: Sequence[Ranked], share: float, purpose: Purpose) -> tuple[tuple[Ranked, ...], frozenset[str]]:
    """The ranking with those at its end whose quality is below `share` of the best one's, and their names."""
    if not share:
        return tuple(ranking), frozenset()
    best = max((entry.quality or 0.0 for entry in ranking), default=0.0)
    # Products of decimal fractions are not exact: a model that lies on the floor is not below it.
    able = [entry for entry in ranking if (entry.quality or 0.0) >= share * best - 1e-9]
    why = f"below the floor for {purpose}: {share:g} of the best candidate's quality {best:.2f}"
    below = [replace(entry, reason=f"{entry.reason}; {why}") for entry in ranking if entry not in able]
    return (*able, *below), frozenset(entry.model for entry in below)


def _scale(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]
