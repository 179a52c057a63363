"""Counts what the log is told: a line a request, and what goes wrong.

No label holds what a client has made up: models are those of the catalogue, everything else is one of our own words.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

from edge_gateway.metrics.bounded import OTHER
from edge_gateway.metrics.families import Families

Fields = Mapping[str, Any]

# What a refusal's code says of the reason for which a request was shed; other codes are the request's own fault.
SHED = {
    "too_many_connections": "connections",
    "server_shutdown": "shutdown",
    "models_resting": "models_resting",
    "rate_limit_exceeded": "key_limit",
    "budget_exceeded": "key_budget",
    "budget_unknown": "key_budget",
}
# What OpenTelemetry calls what a form of API does; the others chat.
OPERATIONS = {"completions": "text_completion", "embeddings": "embeddings"}
# gRPC's statuses for a router that is not there; whatever else is the matter with its answer is not repeated.
ABSENT = {"DEADLINE_EXCEEDED": "late", "UNAVAILABLE": "unavailable", "CANCELLED": "cancelled"}
UNREPORTED = {"report_failed": "failed", "report_dropped": "dropped"}
# What tells that a changed file could not be used, and that the next one could.
UNUSABLE = {"keys_refused": "keys", "certificate_refused": "certificate"}
USABLE = {"keys_loaded": "keys", "certificate_loaded": "certificate"}


class Counting:
    """Hears each line of the log, in the event loop: whatever is done here is done for each request."""

    def __init__(self, families: Families, models: Callable[[], Container[str]]) -> None:
        """`models`: those that a label may name."""
        self._to = families
        self._models = models
        self._unusable: set[str] = set()
        self._requests: Mapping[str, Callable[[Fields], None]] = {
            "completion": self._completion,
            "answered_again": self._again,
            "refused": self._refused,
            "client_gone": self._gone,
        }

    def hear(self, name: str, level: str, fields: Fields) -> None:
        """One line: its name, how bad it is, and what it says."""
        if (counted := self._requests.get(name)) is not None:
            counted(fields)
            return
        if level != "info":
            self._to.problems.of(name).inc()
        if name == "router_unavailable":
            self._to.fallbacks.of(ABSENT.get(str(fields["problem"]), "unusable")).inc()
        elif name in UNREPORTED:
            self._to.unreported.of(UNREPORTED[name]).inc()
        elif name in UNUSABLE or name in USABLE:
            self._unusable.discard(USABLE.get(name, ""))
            self._unusable |= {UNUSABLE[name]} if name in UNUSABLE else set()
            self._to.config_ok.set(not self._unusable)

    def model(self, name: str) -> str:
        """A model as a label may name it."""
        return name if name in self._models() else OTHER

    def _completion(self, told: Fields) -> None:
        to, seconds = self._to, told["ms"] / 1000
        self._request(told, str(told["status"]))
        to.duration.of(_word(told["stream"])).observe(seconds)
        if told["stream_end"]:
            to.ends.of(told["stream_end"]).inc()
        self._shed(told["code"])
        to.replies.of(self.model(told["served"]), told["outcome"]).inc()
        to.previous.of(told["previous_outcome"], told["purpose"]).inc()
        if told["router_ms"] is None:
            to.leased.inc()
        else:
            result = "fallback" if told["decision_id"].startswith("edge_") else "decided"
            to.router.of(result).observe(told["router_ms"] / 1000)
        if told["added_ms"] is not None:
            self._dispatched(told)

    def _dispatched(self, told: Fields) -> None:
        """A request that has left for a model."""
        to = self._to
        to.added.observe(told["added_ms"] / 1000)
        if told["stream"] and told["upstream_ms"] is not None:
            to.ttft.observe(told["upstream_ms"] / 1000)
            # What comes of a stream before its first token is held back until then.
            to.ttfb.observe((told["ms"] - told["model_ms"] + told["upstream_ms"]) / 1000)
        if told["outcome"] != "refused":
            failed = told["outcome"] if told["outcome"] == "provider_failed" else ""
            to.operations.of(OPERATIONS.get(told["form"], "chat"), failed).observe(told["model_ms"] / 1000)
        for direction, tokens in (("input", told["input_tokens"]), ("output", told["output_tokens"])):
            if tokens:
                to.tokens.of(self.model(told["served"]), direction).inc(tokens)
                to.usage.of(direction).observe(tokens)

    def _again(self, told: Fields) -> None:
        self._to.cached.inc()
        self._request(told, "200")
        self._to.duration.of(_word(told["stream"])).observe(told["ms"] / 1000)
        self._to.previous.of(told["previous_outcome"], told["purpose"]).inc()

    def _refused(self, told: Fields) -> None:
        self._request(told, str(told["status"]))
        self._shed(told["code"])

    def _gone(self, told: Fields) -> None:
        self._request(told, "499")

    def _shed(self, code: str) -> None:
        if code in SHED:
            self._to.shed.of(SHED[code]).inc()

    def _request(self, told: Fields, status: str) -> None:
        # One that was refused before it could be read has neither form nor model.
        route, kind = told.get("form") or OTHER, told.get("model_class", "none")
        self._to.requests.of(route, status, _word(told.get("stream", False)), kind).inc()


def _word(stream: bool) -> str:
    return "true" if stream else "false"
