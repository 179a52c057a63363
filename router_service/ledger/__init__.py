"""The ledger: what was decided and what was reported of it, behind one port, in memory or in a database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from router_service.domain import Decision
from router_service.errors import InvalidConfiguration, LedgerUnavailable
from router_service.ledger.contents import Contents
from router_service.ledger.memory import MemoryLedger
from router_service.records import Page, Query, Report, Savings, Spending, Verdict

__all__ = ["Contents", "Ledger", "LedgerUnavailable", "MemoryLedger", "open_ledger"]

IN_MEMORY = ("", "memory:")


class Ledger(Protocol):
    """Where decisions and reports are kept.

    `durable`: it outlives this process, and others may write to it as well.
    """

    durable: ClassVar[bool]

    @property
    def dropped(self) -> int:
        """Decisions and reports that were not kept: the queue was full, or the database refused them."""

    @property
    def queued(self) -> int:
        """Decisions and reports that are not written yet."""

    def record(self, decision: Decision) -> None:
        """Keep a decision, behind the answer; of the prompt only what the contents setting says."""

    async def report(self, report: Report) -> None:
        """Keep what became of a decision, once however often it is told; UnknownDecision when it is not kept."""

    async def find(self, decision_id: str) -> Decision:
        """The decision of this id; UnknownDecision when it is not kept."""

    async def reports_of(self, decision_id: str) -> tuple[Report, ...]:
        """What was reported of a decision, in the order of arrival."""

    async def list(self, query: Query, size: int, token: str) -> Page:
        """A page of decisions, latest first; `token` is empty or stands in the page before."""

    async def savings(self, query: Query) -> tuple[Savings, ...]:
        """Sums for each purpose and model, the dearest first."""

    async def spending(self, since: float, until: float) -> tuple[Spending, ...]:
        """What the replies of each caller have cost that were decided at or after `since` and before `until`, by caller.

        Times are seconds since the epoch, 0 does not restrict. Edges ask every few seconds, so it has to be cheap.

        A database tells what is written: a decision or a report counts a fraction of a second after it came, and while
        the database is away it is LedgerUnavailable, and what waits counts when it is back.
        """

    async def verdicts(self, since: float, limit: int) -> tuple[Verdict, ...]:
        """How replies fared that were reported on at or after `since`: the latest `limit`, in the order of their reports."""

    async def close(self) -> None:
        """Write what is queued, and let go of the database."""


def open_ledger(
    url: str,
    capacity: int,
    contents: str,
    retention_seconds: float,
    on_problem: Callable[[str, dict[str, Any]], None],
    flush_interval: float = 0.2,
) -> Ledger:
    """The ledger that `url` names; InvalidConfiguration says what is wrong.

    `capacity`: how many decisions stay in memory; `flush_interval`: seconds within which a database is told.
    """
    if contents not in list(Contents):
        raise InvalidConfiguration(f"ROUTER_LEDGER_CONTENTS: {contents!r} is not one of {', '.join(Contents)}.")
    if url in IN_MEMORY:
        return MemoryLedger(capacity, Contents(contents))
    # SQLAlchemy takes 11 MB, so only a router that has a database pays for it.
    from router_service.ledger.sql import SqlLedger  # noqa: PLC0415

    return SqlLedger(url, Contents(contents), retention_seconds, flush_interval, recent=capacity, on_problem=on_problem)
