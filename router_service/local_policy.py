"""The local policy: ranks candidates by prior quality and expected cost, weighed by the cost_quality_tradeoff.

The score is (1 - w) * quality - w * cost, with w = tradeoff / 10 and cost the logarithm of the expected dollars scaled to
0..1 over the candidates. Any such score moves the choice monotonically: a higher tradeoff never picks a dearer model.
The task type decides more than the prompt does (and the prompt hardly at all), so no prompt classifier stands here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from router_service.catalog import Catalog, Model
from router_service.domain import Purpose, Ranked, Requirements

MTOK = 1_000_000
# Reasoning models wrote up to 20 times the median in the benchmark; beyond this range the figure is that run's accident.
VERBOSITY_RANGE = (0.25, 4.0)
# Dollars below which two costs count as equal: keeps free models (local ones) on the logarithmic scale.
SMALLEST_COST_USD = 1e-6


def quality(model: Model, purpose: Purpose, catalog: Catalog) -> float:
    """The prior quality of a model for a purpose, 0 to 1."""
    prior = catalog.prior_of(model)
    solved = prior.pass_rate_2 / 100
    if purpose is Purpose.EDITOR:
        # The plan is already made: half of an editor's worth is that its edits match the files.
        return (solved + prior.well_formed / 100) / 2
    return solved


def expected_cost(model: Model, purpose: Purpose, needs: Requirements, catalog: Catalog) -> float:
    """The expected dollars of one request, with nothing in the provider's prompt cache."""
    output = catalog.expected_output_tokens.get(purpose, 0) * _verbosity(model, catalog)
    if needs.output_tokens:
        output = min(output, needs.output_tokens)
    return (needs.input_tokens * model.input_usd_per_mtok + output * model.output_usd_per_mtok) / MTOK


def rank(
    models: Sequence[Model], purpose: Purpose, needs: Requirements, tradeoff: int, catalog: Catalog
) -> tuple[Ranked, ...]:
    """All models, best first; equal scores go to the cheaper, then to the earlier in the profile."""
    costs = [expected_cost(model, purpose, needs, catalog) for model in models]
    scaled = _scale([math.log(cost + SMALLEST_COST_USD) for cost in costs])
    weight = tradeoff / 10
    rows = []
    for position, (model, cost, share) in enumerate(zip(models, costs, scaled, strict=True)):
        worth = quality(model, purpose, catalog)
        score = (1 - weight) * worth - weight * share
        entry = Ranked(
            model=model.id,
            reason=_reason(model, worth, cost, catalog),
            expected_cost_usd=cost,
            context_tokens=model.context_tokens,
            quality=worth,
            score=score,
        )
        rows.append(((-score, cost, position), entry))
    return tuple(entry for _, entry in sorted(rows, key=lambda row: row[0]))


def _verbosity(model: Model, catalog: Catalog) -> float:
    written = catalog.prior_of(model).output_tokens
    if not written:
        return 1.0
    low, high = VERBOSITY_RANGE
    return min(high, max(low, written / catalog.median_output_tokens))


def _scale(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]


def _reason(model: Model, worth: float, cost: float, catalog: Catalog) -> str:
    prior = catalog.prior_of(model)
    origin = {
        "measured": f"measured, {prior.name}",
        "inherited": f"inherited from {prior.name}",
        "scripted": "scripted, not measured",
        "assumed": f"assumed, {prior.name}",
    }[model.prior_kind]
    return f"quality {worth:.2f} ({origin}), expected cost ${cost:.4f}"
