"""What the catalogue says of its models for each purpose, put together once, for each decision weighs many of them; pure."""

from __future__ import annotations

from collections.abc import Mapping

from router_service.catalog import Catalog, Model
from router_service.domain import Purpose, Word

# Reasoning models wrote up to 20 times the median in the benchmark; beyond this range the figure is that run's accident.
VERBOSITY_RANGE = (0.25, 4.0)


class Standing(Word, frozen=True):
    """One model for one purpose; prices in US dollars per million tokens.

    `quality`: the prior's, 0 to 1; `origin`: where that is from, in words; `worth`: both as a reason tells them;
    `usual_output`: the output tokens to expect while none were seen; `cached_price`: that of an input token in a warm
    prompt cache.
    """

    id: str
    context_tokens: int
    quality: float
    origin: str
    worth: str
    usual_output: float
    input_price: float
    output_price: float
    cached_price: float


class Standings:
    """The standings of one catalogue's models."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._known: dict[Purpose, Mapping[str, Standing]] = {}

    def of(self, purpose: Purpose) -> Mapping[str, Standing]:
        """All models for a purpose, by id."""
        known = self._known.get(purpose)
        if known is None:
            known = {model.id: standing(model, purpose, self.catalog) for model in self.catalog.models}
            self._known[purpose] = known
        return known


def standing(model: Model, purpose: Purpose, catalog: Catalog) -> Standing:
    """One model's standing for a purpose."""
    solved, origin = quality(model, purpose, catalog), _origin(model, catalog)
    return Standing(
        id=model.id,
        context_tokens=model.context_tokens,
        quality=solved,
        origin=origin,
        worth=f"quality {solved:.2f} ({origin})",
        usual_output=_usual_output(model, purpose, catalog),
        input_price=model.input_usd_per_mtok,
        output_price=model.output_usd_per_mtok,
        cached_price=cached_price(model),
    )


def quality(model: Model, purpose: Purpose, catalog: Catalog) -> float:
    """The prior quality of a model for a purpose, 0 to 1."""
    prior = catalog.prior_of(model)
    solved = prior.pass_rate_2 / 100
    if purpose is Purpose.EDITOR:
        # The plan is already made: half of an editor's worth is that its edits match the files.
        return (solved + prior.well_formed / 100) / 2
    return solved


def cached_price(model: Model) -> float:
    """What a million input tokens cost that are in a warm prompt cache, in US dollars."""
    price = model.cache_read_usd_per_mtok
    return model.input_usd_per_mtok if price is None else price


def _origin(model: Model, catalog: Catalog) -> str:
    prior = catalog.prior_of(model)
    return {
        "measured": f"measured, {prior.name}",
        "inherited": f"inherited from {prior.name}",
        "scripted": "scripted, not measured",
        "assumed": f"assumed, {prior.name}",
    }[model.prior_kind]


def _usual_output(model: Model, purpose: Purpose, catalog: Catalog) -> float:
    written = catalog.prior_of(model).output_tokens
    low, high = VERBOSITY_RANGE
    verbosity = min(high, max(low, written / catalog.median_output_tokens)) if written else 1.0
    return catalog.expected_output_tokens.get(purpose, 0) * verbosity
