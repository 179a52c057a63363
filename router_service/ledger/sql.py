"""The ledger in a database: writes go behind the answer, reads ask the latest decisions first, then the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ClassVar, TypeVar

from cachetools import LRUCache
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from router_service.domain import Decision
from router_service.errors import LedgerUnavailable, UnknownDecision
from router_service.ledger import reads, writes
from router_service.ledger.contents import Contents, keep
from router_service.ledger.database import open_database, sentence
from router_service.ledger.documents import key_of
from router_service.ledger.queue import OnProblem, Unwritable, WriteQueue
from router_service.ledger.summaries import Arrived, read_token
from router_service.records import Page, Query, Report, Savings, Spending, Verdict

# Most decisions held in memory to be found before they are written.
MOST_RECENT = 2_000
# Seconds between two searches for what is too old.
SWEEP = 60.0
# Seconds that a question may take: whether a decision is known, while a caller waits; anything else.
QUICK, SLOW = 0.4, 30.0
READERS = 4

Answer = TypeVar("Answer")


class SqlLedger:
    """Keeps decisions and reports in SQLite or PostgreSQL; a database that is away costs nobody an answer."""

    durable: ClassVar[bool] = True

    def __init__(
        self,
        url: str,
        contents: Contents,
        retention_seconds: float,
        flush_interval: float = 0.2,
        queue_size: int = 10_000,
        recent: int = MOST_RECENT,
        on_problem: OnProblem = lambda _name, _fields: None,
    ) -> None:
        """`retention_seconds`: how long rows are kept, 0 for ever. InvalidConfiguration says why `url` cannot be used."""
        self._engine = open_database(url)
        self._contents = contents
        self._retention = retention_seconds
        self._sweep_at = 0.0
        self._recent: LRUCache[str, Decision] = LRUCache(min(recent, MOST_RECENT))
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="ledger-reader")
        self._queue: WriteQueue[Decision | Arrived] = WriteQueue(
            self._write, self._sweep, flush_interval, queue_size, on_problem
        )

    @property
    def dropped(self) -> int:
        """Decisions and reports that were not kept."""
        return self._queue.dropped

    @property
    def queued(self) -> int:
        """Decisions and reports that are not written yet."""
        return len(self._queue)

    def record(self, decision: Decision) -> None:
        """Keep a decision; it can be found at once, and listed when it is written."""
        kept = keep(decision, self._contents)
        # Of what is told twice the first counts, as it does in the database.
        self._recent.setdefault(kept.id, kept)
        self._queue.put(kept)

    async def report(self, report: Report) -> None:
        """Keep what became of a decision; one that the database cannot be asked about is taken to be known."""
        if report.decision_id not in self._recent:
            try:
                known = await self._ask(lambda connection: reads.is_kept(connection, report.decision_id), QUICK)
            except LedgerUnavailable:
                known = True
            if not known:
                raise UnknownDecision(report.decision_id)
        self._queue.put(Arrived(report, time.time()))

    async def find(self, decision_id: str) -> Decision:
        """The decision of this id."""
        decision = self._recent.get(decision_id)
        if decision is None:
            decision = await self._ask(lambda connection: reads.find(connection, decision_id), SLOW)
        if decision is None:
            raise UnknownDecision(decision_id)
        return decision

    async def reports_of(self, decision_id: str) -> tuple[Report, ...]:
        """What was reported of a decision, whether it is written yet or not."""
        queued = [entry.report for entry in self._queue.pending() if isinstance(entry, Arrived)]
        written = await self._ask(lambda connection: reads.reports_of(connection, decision_id), SLOW)
        reports = {key_of(report): report for report in written}
        for report in queued:
            if report.decision_id == decision_id:
                reports.setdefault(key_of(report), report)
        return tuple(reports.values())

    async def list(self, query: Query, size: int, token: str) -> Page:
        """A page of the decisions that are written, latest first."""
        start = read_token(token)
        return await self._ask(lambda connection: reads.page_of(connection, query, size, start), SLOW)

    async def savings(self, query: Query) -> tuple[Savings, ...]:
        """Sums over the decisions that are written."""
        return await self._ask(lambda connection: reads.savings(connection, query), SLOW)

    async def spending(self, since: float, until: float) -> tuple[Spending, ...]:
        """What each caller's replies have cost, as far as it is written, which takes `flush_interval` or a little more."""
        return await self._ask(lambda connection: reads.spending(connection, since, until), SLOW)

    async def verdicts(self, since: float, limit: int) -> tuple[Verdict, ...]:
        """How replies fared, as far as it is written, in the order of their reports."""
        return await self._ask(lambda connection: reads.verdicts(connection, since, limit), SLOW)

    async def close(self) -> None:
        """Write what is queued, and let go of the database."""
        await asyncio.to_thread(self._queue.close)
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._engine.dispose()

    async def _ask(self, question: Callable[[Connection], Answer], seconds: float) -> Answer:
        def ask() -> Answer:
            with self._engine.connect() as connection:
                return question(connection)

        try:
            return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._readers, ask), seconds)
        except (TimeoutError, SQLAlchemyError):
            raise LedgerUnavailable from None

    def _write(self, entries: Sequence[Decision | Arrived]) -> None:
        with self._transaction() as connection:
            writes.write(connection, entries)

    def _sweep(self) -> None:
        """Delete a few of the rows that are too old; more of them at the next call."""
        if not self._retention or time.monotonic() < self._sweep_at:
            return
        with self._transaction() as connection:
            more = writes.delete_older(connection, time.time() - self._retention)
        if not more:
            self._sweep_at = time.monotonic() + SWEEP

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.execution_options(writing=True).begin() as connection:
                yield connection
        except (DataError, IntegrityError, ValueError, OverflowError, TypeError) as error:
            raise Unwritable(sentence(error, self._engine.url)) from None
        except SQLAlchemyError as error:
            # The error's own text has the statement in it.
            raise ConnectionError(sentence(error, self._engine.url)) from None
