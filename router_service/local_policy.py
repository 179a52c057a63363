"""The local policy: ranks candidates by prior quality and expected cost, weighed by the cost_quality_tradeoff.

The score is (1 - w) * quality - w * cost, with w = tradeoff / 10 and cost the logarithm of the expected dollars scaled to
0..1 over the candidates. Any such score moves the choice monotonically: a higher tradeoff never picks a dearer model.
The task type decides more than the prompt does (and the prompt hardly at all), so no prompt classifier stands here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from router_service import economics
from router_service.catalog import Catalog, Model
from router_service.domain import Purpose, Ranked, Requirements

# Dollars below which two costs count as equal: keeps free models (local ones) on the logarithmic scale.
SMALLEST_COST_USD = 1e-6


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a ranking rests on beside the candidates."""

    purpose: Purpose
    needs: Requirements
    tradeoff: int
    catalog: Catalog
    warm: economics.Warm | None = None
    observations: economics.Observations = field(default_factory=dict)


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
    output = economics.expected_output(model, situation.purpose, situation.catalog, situation.observations)
    return economics.expected_cost(model, situation.needs, output, situation.warm)


def rank(models: Sequence[Model], situation: Situation) -> tuple[Ranked, ...]:
    """All models, best first; equal scores go to the cheaper, then to the earlier in the profile."""
    costs = [cost(model, situation) for model in models]
    scaled = _scale([math.log(entry.total + SMALLEST_COST_USD) for entry in costs])
    weight = situation.tradeoff / 10
    rows = []
    for position, (model, expected, share) in enumerate(zip(models, costs, scaled, strict=True)):
        worth = quality(model, situation.purpose, situation.catalog)
        score = (1 - weight) * worth - weight * share
        entry = Ranked(
            model=model.id,
            reason=_reason(model, worth, expected, situation.catalog),
            expected_cost_usd=expected.total,
            context_tokens=model.context_tokens,
            quality=worth,
            score=score,
            switch_cost_usd=expected.switch,
        )
        rows.append(((-score, expected.total, position), entry))
    return tuple(entry for _, entry in sorted(rows, key=lambda row: row[0]))


def _scale(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]


def _reason(model: Model, worth: float, expected: economics.Cost, catalog: Catalog) -> str:
    prior = catalog.prior_of(model)
    origin = {
        "measured": f"measured, {prior.name}",
        "inherited": f"inherited from {prior.name}",
        "scripted": "scripted, not measured",
        "assumed": f"assumed, {prior.name}",
    }[model.prior_kind]
    text = f"quality {worth:.2f} ({origin}), expected cost ${expected.total:.4f}"
    if expected.switch:
        text += f" (${expected.switch:.4f} of it for leaving a warm prompt cache)"
    return text
