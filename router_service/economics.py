"""What a request is expected to cost, what leaving a warm prompt cache costs, and what a reply did cost; US dollars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from router_service.catalog import Model
from router_service.domain import Ranked, Requirements, Word
from router_service.records import Report
from router_service.standings import Standing, cached_price

MTOK = 1_000_000
# How much longer than expected replies may make those of other models look.
LONGEST_SHARE = 2.0
# How many observed replies weigh as much as the prior on their length.
PRIOR_WEIGHT = 10
# Of two requests in a row of one Aider conversation, the share of characters that is a common prefix (measured).
COMMON_PREFIX = 0.68


class Observed(Word, frozen=True):
    """What replies of one model for one purpose have been: their number and the mean of their output tokens."""

    count: int
    output_tokens: float


# What was seen for one purpose, by model.
Observations = Mapping[str, Observed]


class Warm(Word, frozen=True):
    """The model whose provider still holds the conversation's prefix in its prompt cache, and the prefix's tokens."""

    model: str
    prefix_tokens: int


class Cost(Word, frozen=True):
    """An expected cost, and the part of it that a warm cache would have saved; None when nothing is warm."""

    total: float
    switch: float | None


def warm_prefix(needs: Requirements, previous_input_tokens: int) -> int:
    """The tokens that a provider's prompt cache may hold: as the caller says, else as is usual."""
    if needs.prefix_tokens:
        return min(needs.prefix_tokens, needs.input_tokens)
    return int(COMMON_PREFIX * min(needs.input_tokens, previous_input_tokens))


def find_brevity(standings: Mapping[str, Standing], observations: Observations) -> float:
    """How long replies for a purpose were seen to be, as a share of what was expected; 1 while little was seen.

    Short work makes every model's replies short; without this, only those that were asked would look the cheaper for it.
    """
    weight = total = float(PRIOR_WEIGHT)
    for name, seen in observations.items():
        standing = standings.get(name)
        if standing is not None and standing.usual_output:
            # Long replies may be the model's own way; short ones are the work's.
            total += seen.count * min(LONGEST_SHARE, seen.output_tokens / standing.usual_output)
            weight += seen.count
    return total / weight


def expected_cost(
    standing: Standing, needs: Requirements, seen: Observed | None, brevity: float, warm: Warm | None
) -> Cost:
    """The expected cost of one request.

    Its output is the purpose's usual, by the model's verbosity and the `brevity` of all models' replies, corrected by what
    was `seen` of this one's. On the warm model the prefix is paid at the cache's price; on any other in full, and the
    difference is told as the cost of the switch.
    """
    output_tokens = standing.usual_output * brevity
    if seen is not None:
        output_tokens = (PRIOR_WEIGHT * output_tokens + seen.count * seen.output_tokens) / (PRIOR_WEIGHT + seen.count)
    if needs.output_tokens:
        output_tokens = min(output_tokens, needs.output_tokens)
    full = needs.input_tokens * standing.input_price + output_tokens * standing.output_price
    if warm is None:
        return Cost(full / MTOK, None)
    saved = warm.prefix_tokens * (standing.input_price - standing.cached_price)
    if standing.id == warm.model:
        return Cost((full - saved) / MTOK, 0.0)
    return Cost(full / MTOK, saved / MTOK)


def actual_cost(model: Model, report: Report) -> float | None:
    """What the reported tokens cost on a model; None when no tokens were reported."""
    if not (report.input_tokens or report.output_tokens):
        return None
    cached = min(report.cached_input_tokens, report.input_tokens)
    fresh = (report.input_tokens - cached) * model.input_usd_per_mtok + cached * cached_price(model)
    return (fresh + report.output_tokens * model.output_usd_per_mtok) / MTOK


def strongest(ranking: Sequence[Ranked]) -> str:
    """The candidate of the highest quality, of equals the cheaper; empty when the quality of none is known."""
    known = [
        (-entry.quality, inf if entry.expected_cost_usd is None else entry.expected_cost_usd, entry.model)
        for entry in ranking
        if entry.quality is not None
    ]
    return min(known)[-1] if known else ""


def cheapest(ranking: Sequence[Ranked]) -> str:
    """The candidate of the lowest expected cost, of equals the better; empty when the cost of none is known."""
    known = [
        (entry.expected_cost_usd, -(entry.quality or 0.0), entry.model)
        for entry in ranking
        if entry.expected_cost_usd is not None and entry.expected_cost_usd < inf
    ]
    return min(known)[-1] if known else ""
