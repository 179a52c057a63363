"""The local policy: ranks candidates by prior quality and expected cost, weighed by the cost_quality_tradeoff.

The score is (1 - w) * quality - w * cost, with w = tradeoff / 10 and cost the logarithm of the expected dollars scaled to
0..1 over the candidates. Any such score moves the choice monotonically: a higher tradeoff never picks a dearer model.
The task type decides more than the prompt does (and the prompt hardly at all), so no prompt classifier stands here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from router_service import economics
from router_service.catalog import Catalog, Model
from router_service.domain import Purpose, Ranked, Requirements

# Dollars below which two costs count as equal: keeps free models (local ones) on the logarithmic scale.
SMALLEST_COST_USD = 1e-6


@dataclass(frozen=True, slots=True)
class Learnt:
    """A model's quality after its outcomes, the draw from it that the ranking rests on, and how many outcomes speak."""

    quality: float
    drawn: float
    outcomes: float


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a ranking rests on beside the candidates."""

    purpose: Purpose
    needs: Requirements
    tradeoff: int
    catalog: Catalog
    warm: economics.Warm | None = None
    observations: economics.Observations = field(default_factory=dict)
    brevity: float = 1.0
    learnt: Mapping[str, Learnt] = field(default_factory=dict)


def quality(model: Model, purpose: Purpose, catalog: Catalog) -> float:
    """The prior quality of a model for a purpose, 0 to 1."""
    prior = catalog.prior_of(model)
    solved = prior.pass_rate_2 / 100
    if purpose is Purpose.EDITOR:
        # The plan is already made: half of an editor's worth is that its edits match the files.
        return (solved + prior.well_formed / 100) / 2
    return solved


def cost(model: Model, situation: Situation) -> economics.Cost:
    """The expected cost of the situation's request on a model."""
    output = economics.expected_output(
        model, situation.purpose, situation.catalog, situation.observations, situation.brevity
    )
    return economics.expected_cost(model, situation.needs, output, situation.warm)


def rank(models: Sequence[Model], situation: Situation) -> tuple[Ranked, ...]:
    """All models, best first; equal scores go to the cheaper, then to the earlier in the profile."""
    costs = [cost(model, situation) for model in models]
    scaled = _scale([math.log(entry.total + SMALLEST_COST_USD) for entry in costs])
    weight = situation.tradeoff / 10
    rows = []
    for position, (model, expected, share) in enumerate(zip(models, costs, scaled, strict=True)):
        prior = quality(model, situation.purpose, situation.catalog)
        learnt = situation.learnt.get(model.id)
        worth, drawn = (learnt.quality, learnt.drawn) if learnt else (prior, prior)
        score = (1 - weight) * drawn - weight * share
        entry = Ranked(
            model=model.id,
            reason=_reason(model, prior, learnt, expected, situation.catalog),
            expected_cost_usd=expected.total,
            context_tokens=model.context_tokens,
            quality=worth,
            score=score,
            switch_cost_usd=expected.switch,
            prior_quality=prior if learnt else None,
            outcomes=learnt.outcomes if learnt else 0.0,
        )
        rows.append(((-score, expected.total, position), entry))
    return tuple(entry for _, entry in sorted(rows, key=lambda row: row[0]))


def with_floor(ranking: Sequence[Ranked], share: float, purpose: Purpose) -> tuple[tuple[Ranked, ...], frozenset[str]]:
    """The ranking with those at its end whose quality is below `share` of the best one's, and their names."""
    best = max((entry.quality or 0.0 for entry in ranking), default=0.0)
    # Products of decimal fractions are not exact: a model that lies on the floor is not below it.
    able = [entry for entry in ranking if (entry.quality or 0.0) >= share * best - 1e-9]
    why = f"below the floor for {purpose}: {share:g} of the best candidate's quality {best:.2f}"
    below = [replace(entry, reason=f"{entry.reason}; {why}") for entry in ranking if entry not in able]
    return (*able, *below), frozenset(entry.model for entry in below)


def _scale(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]


def _reason(model: Model, worth: float, learnt: Learnt | None, expected: economics.Cost, catalog: Catalog) -> str:
    prior = catalog.prior_of(model)
    origin = {
        "measured": f"measured, {prior.name}",
        "inherited": f"inherited from {prior.name}",
        "scripted": "scripted, not measured",
        "assumed": f"assumed, {prior.name}",
    }[model.prior_kind]
    quality = f"quality {worth:.2f} ({origin})"
    if learnt and learnt.outcomes:
        quality = f"quality {learnt.quality:.2f} (learnt from {learnt.outcomes:.0f} replies; {worth:.2f} {origin})"
    text = f"{quality}, expected cost ${expected.total:.4f}"
    if expected.switch:
        text += f" (${expected.switch:.4f} of it for leaving a warm prompt cache)"
    return text
