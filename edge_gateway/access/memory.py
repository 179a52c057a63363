"""Counts what keys use in the memory of this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from edge_gateway.access.entries import Key
from edge_gateway.access.limits import Account, Claim, Limit, Refusal


class Accounts:
    """The accounts of the keys that were used or have spent, by name; those with nothing left to remember are dropped.

    Times are epoch seconds.
    """

    def __init__(self) -> None:
        self.reconciled = False
        self._accounts: dict[str, Account] = {}

    def admit(self, key: Key, id: str, claim: Claim, now: float) -> Refusal | None:
        """Admit a request, or say what refuses it."""
        if key.limits.budgeted and not self.reconciled:
            return Refusal(Limit.UNKNOWN, passing=False, now=now, room=now)
        refusal = self._of(key.name).refusal(key.limits, claim, now)
        if refusal is None:
            self.enter(key.name, id, claim, now)
        return refusal

    def enter(self, name: str, id: str, claim: Claim, now: float) -> None:
        """Count a request that is admitted already."""
        account = self._of(name)
        account.forget(now)
        account.enter(id, claim, now)

    def settle(self, name: str, id: str, tokens: int, usd: float, now: float) -> bool:
        """Put what was used in the claim's place; False, and nothing changes, when no such request is under way."""
        account = self._accounts.get(name)
        return account is not None and account.settle(id, tokens, usd, now)

    def raise_spent(self, name: str, day: float, month: float, now: float) -> None:
        """Have at least so many dollars spent of that day and that month."""
        if day or month:
            self._of(name).raise_spent(day, month, now)

    def reconcile(self, day: Mapping[str, float], month: Mapping[str, float], now: float) -> None:
        """Raise what was spent to the sums, by name, and drop the accounts of keys that have long been silent."""
        for name in [name for name, account in self._accounts.items() if account.is_idle(now)]:
            del self._accounts[name]
        for name in day.keys() | month.keys():
            self.raise_spent(name, day.get(name, 0.0), month.get(name, 0.0), now)
        self.reconciled = True

    def spent(self, now: float) -> tuple[dict[str, float], dict[str, float]]:
        """The dollars spent this day and this month, by name."""
        sums = {name: account.spent(now) for name, account in self._accounts.items()}
        return {name: day for name, (day, _) in sums.items()}, {name: month for name, (_, month) in sums.items()}

    def _of(self, name: str) -> Account:
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = Account()
        return account


class MemoryLimiter:
    """The embedded limiter: each edge counts for itself."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock`: epoch seconds, for budgets go by the calendar."""
        self._clock = clock
        self._accounts = Accounts()

    @property
    def reconciled(self) -> bool:
        """Whether it was told once what was spent before this process began."""
        return self._accounts.reconciled

    async def admit(self, key: Key, id: str, claim: Claim) -> Refusal | None:
        """Admit the request, or say what refuses it."""
        return self._accounts.admit(key, id, claim, self._clock())

    async def settle(self, key: Key, id: str, tokens: int, usd: float) -> None:
        """Put what was used in the claim's place, once."""
        self._accounts.settle(key.name, id, tokens, usd, self._clock())

    async def reconcile(self, day: Mapping[str, float], month: Mapping[str, float], now: float) -> None:
        """Have at least so many dollars spent, by key's name, of the UTC day and month of `now`."""
        self._accounts.reconcile(day, month, now)

    async def close(self) -> None:
        """There is nothing to close."""
