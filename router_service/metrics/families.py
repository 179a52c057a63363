"""The names of what the router counts, with their labels and bounds: all that dashboards and alert rules may refer to."""

from __future__ import annotations

import sys

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from router_service.metrics.bounded import Bounded

# Bounds of seconds: of what is ours, and of an answer from elsewhere.
OURS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ELSEWHERE = (0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1.5)


class Families:
    """Each of them once, in a registry of their own."""

    def __init__(self, version: str) -> None:
        """`version`: the release that runs."""
        # When a series began is nobody's question, and would be one series more for each.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it says nothing of its types
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        build = Info("build", "What runs here.", registry=self.registry)
        build.info({"service": "router_service", "version": version, "python": sys.version.split()[0]})
        self.config_ok = self._gauge("config_ok", "1 while the latest configuration is in use.")
        self.lag = self._seconds("event_loop_lag", "How late the event loop runs what is due.", OURS)
        self._of_decisions()
        self._of_reports()
        self._of_the_house()

    def _of_decisions(self) -> None:
        labels = ("model", "source", "purpose")
        text = "Decisions, by model, by who or what made them, and by what the request is for."
        self.decisions: Bounded[Counter] = Bounded(self._counter("router_decisions", text, labels), 150)
        text = "From a request that was read until its decision, by whether Not Diamond was asked."
        took = self._seconds("router_decision", text, OURS, ("not_diamond",))
        self.seconds: Bounded[Histogram] = Bounded(took, 2)
        text = "How long Not Diamond was waited for, by what came of it."
        asked = self._seconds("router_not_diamond", text, ELSEWHERE, ("result",))
        self.not_diamond: Bounded[Histogram] = Bounded(asked, 8)
        text = "Decisions with which a caller may keep a conversation on its model by itself."
        self.leases = self._counter("router_leases_granted", text)
        text = "Calls, or parts of them, that were refused, by the reason told."
        self.refused: Bounded[Counter] = Bounded(self._counter("router_refused", text, ("reason",)), 16)
        self.refused.begin("INTERNAL_ERROR", "LEDGER_UNAVAILABLE")

    def _of_reports(self) -> None:
        text = "What was reported of replies, by model and outcome."
        self.outcomes: Bounded[Counter] = Bounded(self._counter("router_outcomes", text, ("model", "outcome")), 100)
        text = "Tokens of replies that were reported, by model and direction."
        self.tokens: Bounded[Counter] = Bounded(self._counter("router_tokens", text, ("model", "direction")), 60)
        text = "What replies have cost, by the catalogue's prices or as reported, US dollars."
        self.cost: Bounded[Counter] = Bounded(self._counter("router_cost_usd", text, ("model",)), 40)
        text = "What the same tokens would have cost on the strongest candidate alone, US dollars."
        self.strongest = self._counter("router_strongest_cost_usd", text)

    def _of_the_house(self) -> None:
        self.queued = self._gauge("router_ledger_queued_entries", "Decisions and reports that are not written yet.")
        self.dropped = self._counter("router_ledger_dropped", "Decisions and reports that the ledger did not keep.")
        text = "Who fails: 0 is asked, 1 one call may look whether it is well, 2 is left alone."
        self.breakers: Bounded[Gauge] = Bounded(self._gauge("router_breaker_state", text, ("target",)), 2)
        text = "Lines of the log that an operator should look at, by what they tell."
        self.problems: Bounded[Counter] = Bounded(self._counter("router_problems", text, ("event",)), 20)

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _seconds(self, name: str, text: str, bounds: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
        return Histogram(f"{name}_seconds", text, labels, registry=self.registry, buckets=bounds)
