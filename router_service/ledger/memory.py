"""The ledger without a database: the latest decisions, bounded in number, gone with the process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar

from router_service.domain import Decision
from router_service.errors import UnknownDecision
from router_service.ledger.contents import Contents, keep
from router_service.ledger.summaries import (
    MOST_REPORTS,
    Arrived,
    add_up,
    matches,
    read_token,
    summarise,
    verdict_of,
    write_token,
)
from router_service.ledger.sums import spend, sum_up
from router_service.records import Page, Query, Report, Savings, Spending, Summary, Verdict


class MemoryLedger:
    """Keeps the latest decisions and forgets the oldest first."""

    durable: ClassVar[bool] = False

    def __init__(self, capacity: int, contents: Contents = Contents.NONE, now: Callable[[], float] = time.time) -> None:
        """`capacity`: how many decisions are kept; `now`: seconds since the epoch."""
        self.dropped = self.queued = 0  # nothing waits to be written here
        self._capacity = capacity
        self._contents = contents
        self._decisions: OrderedDict[str, Decision] = OrderedDict()
        self._now = now
        self._reports: dict[str, list[Arrived]] = {}
        # What each decision's reports say it cost, kept so that asking for it every few seconds adds up no reports.
        self._costs: dict[str, float | None] = {}

    def record(self, decision: Decision) -> None:
        """Keep a decision, and of its prompt what may be kept."""
        # Of what is told twice the first counts, as it does in a database.
        self._decisions.setdefault(decision.id, keep(decision, self._contents))
        while len(self._decisions) > self._capacity:
            forgotten, _ = self._decisions.popitem(last=False)
            self._reports.pop(forgotten, None)
            self._costs.pop(forgotten, None)

    async def report(self, report: Report) -> None:
        """Keep what became of a decision, once however often it is told; UnknownDecision when it is not kept."""
        await self.find(report.decision_id)
        arrived = self._reports.setdefault(report.decision_id, [])
        if all(entry.report != report for entry in arrived) and len(arrived) < MOST_REPORTS:
            arrived.append(Arrived(report, self._now()))
            self._costs[report.decision_id] = add_up(arrived).cost_usd

    async def find(self, decision_id: str) -> Decision:
        """The decision of this id; UnknownDecision when it is not kept."""
        try:
            return self._decisions[decision_id]
        except KeyError:
            raise UnknownDecision(decision_id) from None

    async def reports_of(self, decision_id: str) -> tuple[Report, ...]:
        """What was reported of a decision, in the order of arrival."""
        return tuple(arrived.report for arrived in self._reports.get(decision_id, ()))

    async def list(self, query: Query, size: int, token: str) -> Page:
        """A page of decisions, latest first."""
        start = read_token(token)
        found = sorted(self._matching(query), key=lambda entry: (entry.time, entry.decision_id), reverse=True)
        rest = [entry for entry in found if start is None or (entry.time, entry.decision_id) < start]
        page = tuple(rest[:size])
        return Page(page, write_token(page[-1]) if len(rest) > size else "")

    async def savings(self, query: Query) -> tuple[Savings, ...]:
        """Sums for each purpose and model."""
        return sum_up(self._matching(query))

    async def spending(self, since: float, until: float) -> tuple[Spending, ...]:
        """What each caller's replies have cost; every report counts at once."""
        return spend(
            (decision.request.caller, self._costs.get(decision.id))
            for decision in self._decisions.values()
            if decision.time >= since and (not until or decision.time < until)
        )

    async def verdicts(self, since: float, limit: int) -> tuple[Verdict, ...]:
        """How replies fared, in the order of their reports."""
        found = (verdict_of(self._decisions[name], add_up(arrived)) for name, arrived in self._reports.items())
        late = [verdict for verdict in found if verdict is not None and verdict.reported >= since]
        late.sort(key=lambda verdict: (verdict.reported, verdict.decision_id))
        return tuple(late[max(0, len(late) - limit) :])

    async def close(self) -> None:
        """Nothing to write: what is in memory goes with the process."""

    def _matching(self, query: Query) -> tuple[Summary, ...]:
        entries = (
            summarise(decision, add_up(self._reports.get(decision.id, ()))) for decision in self._decisions.values()
        )
        return tuple(entry for entry in entries if matches(entry, query))
