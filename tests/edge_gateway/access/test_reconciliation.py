"""What the ledger says was spent reaches the budgets, at once and again and again."""

import asyncio
from datetime import UTC, datetime

import pytest

from edge_gateway.access.limits import Limit
from edge_gateway.access.memory import MemoryLimiter
from edge_gateway.access.reconciliation import Reconciler
from tests.edge_gateway.access.clock import claim, key, wednesday
from tests.processes import NEVER

TODAY, MONTH = datetime(2026, 11, 25, tzinfo=UTC).timestamp(), datetime(2026, 11, 1, tzinfo=UTC).timestamp()


class Ledger:
    """Answers with its sums, or fails as often as it shall."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.asked: list[float] = []
        self.sums = {TODAY: {"alice": 1.0}, MONTH: {"alice": 9.0, "bob": 2.0}}
        self.answered = asyncio.Event()

    async def spending(self, since: float) -> dict[str, float]:
        self.asked.append(since)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("with words that nobody should read")
        if since == MONTH:
            self.answered.set()
        return self.sums[since]


@pytest.fixture
def limiter() -> MemoryLimiter:
    return MemoryLimiter(wednesday())


def reconciler(ledger: Ledger, limiter: MemoryLimiter, told: list, seconds: float = 1000.0) -> Reconciler:
    return Reconciler(ledger.spending, limiter, lambda *what: told.append(what), seconds, wednesday())


async def test_the_sums_since_the_days_and_the_months_beginning_in_utc_reach_the_budgets(limiter):
    ledger, told = Ledger(), []
    assert await reconciler(ledger, limiter, told).reconcile()
    assert ledger.asked == [TODAY, MONTH]
    assert (await limiter.admit(key(budget_usd_per_month=9), "1", claim())).limit is Limit.MONTH
    assert (await limiter.admit(key(budget_usd_per_day=1), "2", claim())).limit is Limit.DAY
    assert await limiter.admit(key("bob", budget_usd_per_day=1, budget_usd_per_month=3), "3", claim()) is None
    assert told == []


async def test_a_failure_is_told_once_and_not_raised_and_budgets_stay_closed_until_there_is_an_answer(limiter):
    ledger, told = Ledger(failures=2), []
    asking = reconciler(ledger, limiter, told)
    assert not await asking.reconcile()
    assert not await asking.reconcile()
    assert not limiter.reconciled
    assert told == [("spending_unknown", {"problem": "ConnectionError", "budgeted_keys": "refused until it is known"})]
    assert await asking.reconcile()
    assert limiter.reconciled
    assert told[1:] == [("spending_known", {"keys": 2})]
    ledger.failures = 1
    assert not await asking.reconcile()
    assert told[-1][1]["budgeted_keys"] == "served by what is known"


async def test_it_asks_at_once_and_then_again_and_again(limiter):
    ledger = Ledger(failures=1)
    asking = reconciler(ledger, limiter, [], seconds=0.01)
    asking.start()
    for _ in range(3):
        await asyncio.wait_for(ledger.answered.wait(), NEVER)
        ledger.answered.clear()
    await asking.close()


async def test_the_first_answer_is_not_waited_for_as_long_as_the_later_ones(limiter):
    ledger = Ledger(failures=1)
    asking = reconciler(ledger, limiter, [], seconds=1000)
    asking.start()
    await asyncio.wait_for(ledger.answered.wait(), NEVER)
    await asking.close()
    assert limiter.reconciled
