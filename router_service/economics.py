"""What a request is expected to cost, what leaving a warm prompt cache costs, and what a reply did cost; US dollars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from router_service.catalog import Catalog, Model
from router_service.domain import Purpose, Ranked, Requirements
from router_service.records import Report

MTOK = 1_000_000
# Reasoning models wrote up to 20 times the median in the benchmark; beyond this range the figure is that run's accident.
VERBOSITY_RANGE = (0.25, 4.0)
# How much longer than expected replies may make those of other models look.
LONGEST_SHARE = 2.0
# How many observed replies weigh as much as the prior on their length.
PRIOR_WEIGHT = 10
# Of two requests in a row of one Aider conversation, the share of characters that is a common prefix (measured).
COMMON_PREFIX = 0.68


@dataclass(frozen=True, slots=True)
class Observed:
    """What replies of one model for one purpose have been: their number and the mean of their output tokens."""

    count: int
    output_tokens: float


Observations = Mapping[tuple[Purpose, str], Observed]


@dataclass(frozen=True, slots=True)
class Warm:
    """The model whose provider still holds the conversation's prefix in its prompt cache, and the prefix's tokens."""

    model: str
    prefix_tokens: int


@dataclass(frozen=True, slots=True)
class Cost:
    """An expected cost, and the part of it that a warm cache would have saved; None when nothing is warm."""

    total: float
    switch: float | None


def warm_prefix(needs: Requirements, previous_input_tokens: int) -> int:
    """The tokens that a provider's prompt cache may hold: as the caller says, else as is usual."""
    if needs.prefix_tokens:
        return min(needs.prefix_tokens, needs.input_tokens)
    return int(COMMON_PREFIX * min(needs.input_tokens, previous_input_tokens))


def expected_output(
    model: Model, purpose: Purpose, catalog: Catalog, observations: Observations, brevity: float = 1.0
) -> float:
    """The output tokens to expect: the purpose's usual, by the model's verbosity, corrected by what was seen.

    `brevity`: what all models' replies for the purpose were seen to be, as a share of what was expected of them.
    """
    prior = _usual_output(model, purpose, catalog) * brevity
    seen = observations.get((purpose, model.id))
    if seen is None:
        return prior
    return (PRIOR_WEIGHT * prior + seen.count * seen.output_tokens) / (PRIOR_WEIGHT + seen.count)


def find_brevity(purpose: Purpose, catalog: Catalog, observations: Observations) -> float:
    """How long replies for a purpose were seen to be, as a share of what was expected; 1 while little was seen.

    Short work makes every model's replies short; without this, only those that were asked would look the cheaper for it.
    """
    weight = total = float(PRIOR_WEIGHT)
    for (kind, name), seen in observations.items():
        model = catalog.by_id.get(name) if kind is purpose else None
        usual = _usual_output(model, purpose, catalog) if model else 0.0
        if usual:
            # Long replies may be the model's own way; short ones are the work's.
            total += seen.count * min(LONGEST_SHARE, seen.output_tokens / usual)
            weight += seen.count
    return total / weight


def _usual_output(model: Model, purpose: Purpose, catalog: Catalog) -> float:
    written = catalog.prior_of(model).output_tokens
    low, high = VERBOSITY_RANGE
    verbosity = min(high, max(low, written / catalog.median_output_tokens)) if written else 1.0
    return catalog.expected_output_tokens.get(purpose, 0) * verbosity


def expected_cost(model: Model, needs: Requirements, output_tokens: float, warm: Warm | None) -> Cost:
    """The expected cost of one request.

    On the warm model the prefix is paid at the cache's price; on any other in full, and the difference is told as the cost
    of the switch.
    """
    if needs.output_tokens:
        output_tokens = min(output_tokens, needs.output_tokens)
    output = output_tokens * model.output_usd_per_mtok
    full = needs.input_tokens * model.input_usd_per_mtok + output
    if warm is None:
        return Cost(full / MTOK, None)
    saved = warm.prefix_tokens * (model.input_usd_per_mtok - _cached_price(model))
    if model.id == warm.model:
        return Cost((full - saved) / MTOK, 0.0)
    return Cost(full / MTOK, saved / MTOK)


def actual_cost(model: Model, report: Report) -> float | None:
    """What the reported tokens cost on a model; None when no tokens were reported."""
    if not (report.input_tokens or report.output_tokens):
        return None
    cached = min(report.cached_input_tokens, report.input_tokens)
    fresh = (report.input_tokens - cached) * model.input_usd_per_mtok + cached * _cached_price(model)
    return (fresh + report.output_tokens * model.output_usd_per_mtok) / MTOK


def strongest(ranking: Sequence[Ranked]) -> str:
    """The candidate of the highest quality, of equals the cheaper; empty when the quality of none is known."""
    known = [(-entry.quality, _dollars(entry), entry.model) for entry in ranking if entry.quality is not None]
    return min(known)[-1] if known else ""


def cheapest(ranking: Sequence[Ranked]) -> str:
    """The candidate of the lowest expected cost, of equals the better; empty when the cost of none is known."""
    known = [(_dollars(entry), -(entry.quality or 0.0), entry.model) for entry in ranking if _dollars(entry) < inf]
    return min(known)[-1] if known else ""


def _dollars(entry: Ranked) -> float:
    return inf if entry.expected_cost_usd is None else entry.expected_cost_usd


def _cached_price(model: Model) -> float:
    price = model.cache_read_usd_per_mtok
    return model.input_usd_per_mtok if price is None else price
