"""The ledger: recent decisions and what was reported of them, kept in memory and bounded in number."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from router_service.domain import Decision, Report
from router_service.errors import UnknownDecision

# A reply has one delivery and a few verdicts; whoever reports more repeats itself.
MOST_REPORTS = 32


class MemoryLedger:
    """Keeps the latest decisions, without their messages, and forgets the oldest first."""

    def __init__(self, capacity: int) -> None:
        """`capacity`: how many decisions are kept."""
        self._capacity = capacity
        self._decisions: OrderedDict[str, Decision] = OrderedDict()
        self._reports: dict[str, list[Report]] = {}

    def record(self, decision: Decision) -> None:
        """Keep a decision; the prompt's text is not part of what is kept."""
        self._decisions[decision.id] = replace(decision, request=replace(decision.request, messages=()))
        while len(self._decisions) > self._capacity:
            forgotten, _ = self._decisions.popitem(last=False)
            self._reports.pop(forgotten, None)

    def report(self, report: Report) -> None:
        """Keep what became of a decision, once however often it is told; UnknownDecision when it is not kept."""
        self.find(report.decision_id)
        reports = self._reports.setdefault(report.decision_id, [])
        if report not in reports and len(reports) < MOST_REPORTS:
            reports.append(report)

    def find(self, decision_id: str) -> Decision:
        """The decision of this id; UnknownDecision when it is not kept."""
        try:
            return self._decisions[decision_id]
        except KeyError:
            raise UnknownDecision(decision_id) from None

    def reports_of(self, decision_id: str) -> tuple[Report, ...]:
        """What was reported of a decision, in the order of arrival."""
        return tuple(self._reports.get(decision_id, ()))
