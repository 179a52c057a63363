"""What reports teach within this process: how long replies are, and which providers are failing just now."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from router_service.domain import Outcome, Purpose
from router_service.economics import Observed
from router_service.records import Report

# The weight of an older mean against a new value never exceeds this many replies, so that a changed model is noticed.
MEMORY = 200
# A provider counts as failing when this share of at least so many reports of the last seconds were failures.
FAILING_SHARE, FEWEST_REPORTS, WINDOW_SECONDS = 0.8, 5, 60.0
MOST_REPORTS = 1000


class Lengths:
    """Means of output tokens, by purpose and model."""

    def __init__(self) -> None:
        self._observed: dict[Purpose, dict[str, Observed]] = {}

    def of(self, purpose: Purpose) -> Mapping[str, Observed]:
        """What has been observed so far, by model."""
        return self._observed.get(purpose, {})

    def learn(self, purpose: Purpose, model: str, output_tokens: int) -> None:
        """Take a reply's length into account."""
        models = self._observed.setdefault(purpose, {})
        seen = models.get(model, Observed(0, 0.0))
        count = min(seen.count + 1, MEMORY)
        mean = seen.output_tokens + (output_tokens - seen.output_tokens) / count
        models[model] = Observed(count, mean)


class _Window:
    """The latest reports of one provider, and how many of them were failures: counted as they come and go."""

    def __init__(self) -> None:
        self._reports: deque[tuple[float, bool]] = deque()
        self._failures = 0

    def add(self, now: float, failed: bool) -> None:
        """Take in a report."""
        self._reports.append((now, failed))
        self._failures += failed
        if len(self._reports) > MOST_REPORTS:
            self._drop()

    def is_failing(self, now: float) -> bool:
        """Whether enough of what the window still shows were failures."""
        while self._reports and self._reports[0][0] < now - WINDOW_SECONDS:
            self._drop()
        return len(self._reports) >= FEWEST_REPORTS and self._failures >= FAILING_SHARE * len(self._reports)

    def _drop(self) -> None:
        self._failures -= self._reports.popleft()[1]


class Health:
    """A sliding window of successes and failures, by provider; the clock is the caller's."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}

    def learn(self, report: Report, now: float) -> None:
        """Take a delivery into account; other outcomes say nothing about a provider."""
        if report.served_model and report.outcome in (Outcome.COMPLETED, Outcome.PROVIDER_FAILED):
            provider = report.served_model.split("/", 1)[0]
            self._windows.setdefault(provider, _Window()).add(now, report.outcome is Outcome.PROVIDER_FAILED)

    def failing(self, now: float) -> frozenset[str]:
        """The providers that are failing; one that is left alone gets its next chance when the window has passed."""
        return frozenset(provider for provider, window in self._windows.items() if window.is_failing(now))
