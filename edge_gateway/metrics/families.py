"""The names of what the edge counts, with their labels and bounds: all that dashboards and alert rules may refer to.

Those of gen_ai_* are OpenTelemetry's (core 1.44.0), in Prometheus's form.
"""

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

from edge_gateway.metrics.bounded import Bounded

# Bounds of seconds: of what is ours, of a model's first token, and of a whole answer.
OURS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
FIRST = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
WHOLE = (0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0)
TOKENS = (16, 256, 1024, 4096, 16384, 65536, 262144, 1048576)


class Families:
    """Each of them once, in a registry of their own."""

    def __init__(self, version: str) -> None:
        """`version`: the release that runs."""
        # When a series began is nobody's question, and would be one series more for each.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it says nothing of its types
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        build = Info("build", "What runs here.", registry=self.registry)
        build.info({"service": "edge_gateway", "version": version, "python": sys.version.split()[0]})
        self.config_ok = self._gauge(
            "config_ok", "1 while the files of keys and certificates are in use as they are now."
        )
        self.config_ok.set(1)
        self.lag = self._seconds("event_loop_lag", "How late the event loop runs what is due.", OURS)
        self._of_requests()
        self._of_replies()
        self._of_the_router()
        self._of_the_house()

    def _of_requests(self) -> None:
        labels = ("route", "status", "stream", "model_class")
        text = "Requests to models, by form of API, HTTP status, whether streamed, and what was asked for."
        self.requests: Bounded[Counter] = Bounded(self._counter("edge_requests", text, labels), 90)
        text = "From a request's first byte until its answer was whole."
        took = self._seconds("edge_request_duration", text, WHOLE, ("stream",))
        self.duration: Bounded[Histogram] = Bounded(took, 2)
        text = "From a request's first byte until its stream's first byte went out."
        self.ttfb = self._seconds("edge_ttfb", text, FIRST)
        text = "What the edge adds: from a request's last byte until it left for a model, waits for its key's limits excepted."
        self.added = self._seconds("edge_added", text, OURS)
        text = "Streams, by what ended them."
        self.ends: Bounded[Counter] = Bounded(self._counter("edge_stream_end", text, ("reason",)), 8)
        self.ends.begin("done", "client_closed", "upstream_error", "truncated", "idle", "total", "shutdown")
        text = "Requests refused because there were too many, in all or of their key, or because all models rest."
        self.shed: Bounded[Counter] = Bounded(self._counter("edge_shed", text, ("reason",)), 8)
        self.shed.begin("overloaded", "connections", "shutdown", "models_resting", "key_limit", "key_budget")
        self.cached = self._counter("edge_answered_again", "Requests answered out of the cache.")

    def _of_replies(self) -> None:
        text = "From when a request left for a model until its stream's first token, failed models before it included."
        self.ttft = self._seconds("edge_upstream_ttft", text, FIRST)
        text = "Replies, by the model that served and how they were delivered."
        self.replies: Bounded[Counter] = Bounded(self._counter("edge_replies", text, ("model", "outcome")), 60)
        text = "How earlier replies fared, as clients' next requests show, by what these are for."
        labels = ("outcome", "purpose")
        self.previous: Bounded[Counter] = Bounded(self._counter("edge_previous_outcome", text, labels), 80)
        text = "Tokens, by model and direction, as providers counted them or as estimated."
        self.tokens: Bounded[Counter] = Bounded(self._counter("edge_tokens", text, ("model", "direction")), 60)
        usage = self._histogram("gen_ai_client_token_usage", "Tokens of one call.", TOKENS, ("gen_ai_token_type",))
        self.usage: Bounded[Histogram] = Bounded(usage, 2)
        text = "From when a request left for a model until its reply had ended."
        took = self._seconds("gen_ai_client_operation_duration", text, WHOLE, ("gen_ai_operation_name", "error_type"))
        self.operations: Bounded[Histogram] = Bounded(took, 6)

    def _of_the_router(self) -> None:
        text = "Until the router had decided, or the edge went on without it; decisions under a lease excepted."
        self.router: Bounded[Histogram] = Bounded(self._seconds("edge_router", text, OURS, ("result",)), 2)
        text = "Decisions made without the router, by what was the matter with it."
        self.fallbacks: Bounded[Counter] = Bounded(self._counter("edge_router_fallback", text, ("reason",)), 8)
        self.fallbacks.begin("late", "unavailable", "cancelled", "unusable")
        text = "Decisions made here under a lease of the router's."
        self.leased = self._counter("edge_leased_decisions", text)
        text = "What the router was not told of."
        self.unreported: Bounded[Counter] = Bounded(self._counter("edge_unreported", text, ("reason",)), 4)
        self.unreported.begin("failed", "dropped")

    def _of_the_house(self) -> None:
        text = "Lines of the log that an operator should look at, by what they tell."
        self.problems: Bounded[Counter] = Bounded(self._counter("edge_problems", text, ("event",)), 20)
        text = (
            "What is under way: requests, those of them that wait for a model, and what is still to be told to others."
        )
        self.inflight: Bounded[Gauge] = Bounded(self._gauge("edge_inflight", text, ("kind",)), 4)
        text = "Second attempts, by who made them and what came of it."
        self.retries: Bounded[Counter] = Bounded(self._counter("edge_retries", text, ("layer", "outcome")), 4)
        self.budget = self._gauge("edge_retry_budget_attempts", "Second attempts that may be made now.")
        text = "Models that have failed lately: 0 is tried, 1 one request may look whether it is well, 2 is left alone."
        self.breakers: Bounded[Gauge] = Bounded(self._gauge("edge_breaker_state", text, ("target",)), 40)

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _seconds(self, name: str, text: str, bounds: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
        return self._histogram(f"{name}_seconds", text, bounds, labels)

    def _histogram(self, name: str, text: str, bounds: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=bounds)
