"""What a request may cost at most, and what it did cost, by the router's catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edge_gateway.decisions import ModelFacts
from edge_gateway.event_stream import Usage

MILLION = 1_000_000
# What a model of unknown limits may write, in tokens.
MOST_OUTPUT = 128_000


def most_output(models: Iterable[str], facts: Mapping[str, ModelFacts], asked: int) -> int:
    """The most tokens that any of these models may write; `asked`: what the request allows, 0 when it does not say."""
    limits = [facts[model].max_output_tokens for model in models if model in facts]
    return asked or max(limits, default=MOST_OUTPUT)


def most_cost(
    models: Iterable[str], facts: Mapping[str, ModelFacts], input_tokens: int, output_tokens: int
) -> float | None:
    """The most US dollars that a request may cost on any of these models; None where a price is not known."""
    costs = [cost(facts.get(model), Usage(input_tokens, output_tokens)) for model in models]
    known = [each for each in costs if each is not None]
    return max(known, default=0.0) if costs and len(known) == len(costs) else None


def cost(model: ModelFacts | None, usage: Usage) -> float | None:
    """US dollars for these tokens; None where the price is not known."""
    if model is None:
        return None
    cached = model.cache_read_usd_per_mtok
    cached_price = model.input_usd_per_mtok if cached is None else cached
    fresh = usage.input_tokens - usage.cached_input_tokens
    total = fresh * model.input_usd_per_mtok + usage.cached_input_tokens * cached_price
    return (total + usage.output_tokens * model.output_usd_per_mtok) / MILLION
