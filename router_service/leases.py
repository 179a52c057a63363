"""Takes in what callers have decided under leases: checked, kept in the ledger, remembered with the conversation's pin."""

from __future__ import annotations

import asyncio
import time

from router_service import telemetry
from router_service.domain import FAILURES, Decision, Leased
from router_service.errors import FieldViolation, InvalidRequest, LedgerUnavailable
from router_service.latest import Latest
from router_service.ledger import Ledger
from router_service.selection import Selection
from router_service.tracing import spans
from router_service.tracing.span import CURRENT
from router_service.watch import Watchers, summary_of

# Seconds by which two machines' clocks may differ, or a decision may have been under way.
SLACK = 60.0
# Seconds to find the decision that came with a lease: with what a report takes, less than a caller waits.
LOOK_UP = 0.4


class Leases:
    """The way of a leased decision through the router."""

    def __init__(self, selection: Selection, ledger: Ledger, watchers: Watchers) -> None:
        self._selection = selection
        self._ledger = ledger
        self._watchers = watchers
        self._seen = Latest(time.monotonic)

    async def take_in(self, leased: Leased) -> None:
        """Keep it as a decision; UnknownDecision or InvalidRequest where there was no such lease."""
        started = time.monotonic()
        granted = await self._granted(leased)
        if violations := _violations(leased, granted):
            raise InvalidRequest(violations)
        name = leased.decision_id.encode()
        if not self._seen.is_new(name):
            return
        try:
            decision = await self._selection.honour(leased, granted)
        except BaseException:
            # Whoever tells it again, because this took too long, shall not hear that it is kept.
            self._seen.forget(name)
            raise
        self._ledger.record(decision)
        self._watchers.publish(summary_of(decision))
        span = CURRENT.get()
        if span.traced:
            spans.decided(span, decision, granted.id)
        telemetry.decided(decision, (time.monotonic() - started) * 1000, span.trace_id, leased=True)

    async def _granted(self, leased: Leased) -> Decision:
        try:
            async with asyncio.timeout(LOOK_UP):
                return await self._ledger.find(leased.lease)
        except TimeoutError:
            raise LedgerUnavailable from None


def _violations(leased: Leased, granted: Decision) -> list[FieldViolation]:
    """What the lease does not allow."""
    found = []
    if not -SLACK <= leased.time - granted.time <= granted.lease_seconds + SLACK or not granted.lease_seconds:
        found.append(FieldViolation("lease", "was not in force; ask with SelectModel"))
    if leased.request.previous_reply.outcome in FAILURES or leased.request.continuation:
        found.append(FieldViolation("request", "follows a failed reply or continues one; ask with SelectModel"))
    for field in ("profile", "candidates", "model", "purpose", "conversation_id", "tenant", "caller"):
        if getattr(leased.request, field) != getattr(granted.request, field):
            found.append(FieldViolation(f"request.{field}", "is not the lease's"))
    return found
