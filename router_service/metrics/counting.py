"""Counts each decision, refusal and report as the log hears of it.

No label holds what a caller has made up: models are those of the catalogue, everything else is one of our own words.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from router_service.domain import Consultation, Decision
from router_service.metrics.bounded import OTHER
from router_service.metrics.families import Families
from router_service.records import Report

# How what is told of a consultation without an answer begins, and what that is called; whatever else is told is a failure.
RESULTS = {
    "it gave no answer within": "late",
    "the rate limit of": "rate_limited",
    "it is over its rate limit": "rate_limited",
    "it has failed repeatedly": "left_alone",
    "it knows fewer than two": "not_asked",
    "the caller's deadline left no time": "not_asked",
    "no time was left": "not_asked",
    "the question was called off": "not_asked",
}


class Counting:
    """Hears of each call, in the event loop."""

    def __init__(self, families: Families, models: Callable[[], Container[str]]) -> None:
        """`models`: those that a label may name."""
        self._to = families
        self._models = models

    def decided(self, decision: Decision, seconds: float | None) -> None:
        """A decision; `seconds`: that it took, None where the caller made it, by a lease."""
        to, asked = self._to, decision.consultation
        source = "leased" if seconds is None else str(decision.source)
        to.decisions.of(self._model(decision.model), source, str(decision.request.purpose)).inc()
        if decision.lease_seconds:
            to.leases.inc()
        if asked is not None:
            to.not_diamond.of(result_of(asked)).observe(asked.elapsed_seconds)
        if seconds is not None:
            to.seconds.of("not_asked" if asked is None or asked.cached else "asked").observe(seconds)

    def refused(self, reason: str) -> None:
        """A call, or a part of one, was refused."""
        self._to.refused.of(reason).inc()

    def reported(self, report: Report, model: str) -> None:
        """A report that says something new; `model`: the one whose reply it is."""
        to, model = self._to, self._model(model)
        to.outcomes.of(model, str(report.outcome)).inc()
        for direction, tokens in (("input", report.input_tokens), ("output", report.output_tokens)):
            if tokens > 0:
                to.tokens.of(model, direction).inc(tokens)
        if report.cost_usd:
            to.cost.of(model).inc(report.cost_usd)
        if report.strongest_cost_usd:
            to.strongest.inc(report.strongest_cost_usd)

    def problem(self, name: str) -> None:
        """Something that an operator should look at."""
        self._to.problems.of(name).inc()

    def _model(self, name: str) -> str:
        return name if name in self._models() else OTHER


def result_of(asked: Consultation) -> str:
    """What came of asking Not Diamond, in a word."""
    if asked.model:
        return "cached" if asked.cached else "answered"
    return next((word for begins, word in RESULTS.items() if asked.problem.startswith(begins)), "failed")
