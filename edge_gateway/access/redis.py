"""Counts what keys use in Redis, for all edges together, and in this process whenever Redis is slow or gone.

What this process admits is counted here as well, so that Redis's going away is no fresh start. What it could not tell
Redis for certain it owes, and tells again until Redis answers; limits.lua counts it once, however often it is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from edge_gateway.access.entries import Key
from edge_gateway.access.keys import Tell
from edge_gateway.access.limits import Claim, Limit, Refusal, next_day, next_month
from edge_gateway.access.memory import Accounts
from edge_gateway.access.redis_link import RedisLink

SCRIPT = Path(__file__).with_name("limits.lua").read_text(encoding="utf-8")
ACCOUNT, SETTLED, RECONCILED = "edge:limits:", "edge:settled:", "edge:reconciled"
# Seconds for which Redis remembers that the sums are known: as long as an account that nobody touches.
REMEMBERED = 40 * 86_400
# Seconds from one attempt to tell Redis to the next, and how much is owed to it at most; the oldest goes first.
PAUSE = 1.0
MOST_OWED = 10_000


@dataclass(frozen=True, slots=True)
class _Debt:
    """What a request has used, and whether Redis is known to have had its claim."""

    name: str
    id: str
    tokens: int
    usd: float
    claimed: bool


class RedisLimiter:
    """All edges at one Redis share what keys may use. Made inside the running event loop."""

    def __init__(self, url: str, tell: Tell, op_timeout: float, clock: Callable[[], float] | None = None) -> None:
        """`op_timeout`: the most seconds an operation may take; ValueError when `url` is not an address.

        `clock`: epoch seconds; without one Redis goes by its own, and this process by its own.
        """
        self._link = RedisLink(url, tell, op_timeout)
        self._script = self._link.script(SCRIPT)
        self._clock = clock or time.time
        self._time: Callable[[], float | str] = clock or (lambda: "")
        self._accounts = Accounts()
        # Ids under way whose claims Redis is known to have.
        self._claimed: set[str] = set()
        self._owed: dict[str, _Debt] = {}
        self._mending: asyncio.Task[None] | None = None
        self._known = False

    @property
    def reconciled(self) -> bool:
        """Whether this process was told what was spent before, or Redis knows it."""
        return self._known or self._accounts.reconciled

    async def admit(self, key: Key, id: str, claim: Claim) -> Refusal | None:
        """Admit the request in Redis, else in this process, or say what refuses it."""
        if self._link.aside:
            return self._accounts.admit(key, id, claim, self._clock())
        try:
            answer = await self._ask(key, id, claim)
            if answer is not None and _refusing(answer) is Limit.UNKNOWN and self._accounts.reconciled:
                # Redis has begun anew; what is known here holds until the ledger is asked again.
                await self._raise(*self._accounts.spent(self._clock()), self._clock())
                answer = await self._ask(key, id, claim)
        except asyncio.CancelledError:
            self._owe(_Debt(key.name, id, 0, 0.0, claimed=False))
            raise
        if answer is not None:
            return self._admitted(key, id, claim, answer)
        refusal = self._accounts.admit(key, id, claim, self._clock())
        if refusal is not None:
            # Redis may have admitted it, too late to be heard.
            self._owe(_Debt(key.name, id, 0, 0.0, claimed=False))
        return refusal

    async def settle(self, key: Key, id: str, tokens: int, usd: float) -> None:
        """Put what was used in the claim's place, here at once and in Redis as soon as it answers."""
        if not self._accounts.settle(key.name, id, tokens, usd, self._clock()):
            return
        debt = _Debt(key.name, id, tokens, usd, claimed=id in self._claimed)
        self._claimed.discard(id)
        self._owed[id] = debt
        try:
            await self._pay(debt)
        finally:
            if id in self._owed:
                self._owe(debt)

    async def reconcile(self, day: Mapping[str, float], month: Mapping[str, float], now: float) -> None:
        """Have at least so many dollars spent, by key's name, of the UTC day and month of `now`."""
        self._accounts.reconcile(day, month, now)
        await self._raise(day, month, now)

    async def close(self) -> None:
        """Close the connections; what is still owed lapses in Redis with its claims."""
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.gather(self._mending, return_exceptions=True)
        await self._link.close()

    async def _ask(self, key: Key, id: str, claim: Claim) -> Any:
        limits = key.limits
        wanted = (limits.requests_per_minute, limits.tokens_per_minute, limits.parallel)
        budgets = (limits.budget_usd_per_day, limits.budget_usd_per_month)
        most = ["" if limit is None else limit for limit in (*wanted, *budgets)]
        return await self._step("admit", key.name, id, self._time(), claim.tokens, claim.usd or 0.0, *most)

    def _admitted(self, key: Key, id: str, claim: Claim, answer: Any) -> Refusal | None:
        """What Redis answered, once it is noted here too."""
        _, passing, room, at, day, month = answer
        limit, now = _refusing(answer), float(at)
        if key.limits.budgeted and limit is not Limit.UNKNOWN:
            self._known = True
            self._accounts.raise_spent(key.name, float(day), float(month), now)
        if limit is None:
            self._claimed.add(id)
            self._accounts.enter(key.name, id, claim, self._clock())
            return None
        anew = {Limit.DAY: next_day(now), Limit.MONTH: next_month(now)}
        return Refusal(limit, bool(passing), now, float(room) if passing else anew.get(limit, float(room)))

    async def _raise(self, day: Mapping[str, float], month: Mapping[str, float], now: float) -> None:
        """Raise the sums in Redis, and mark there that they are known; given up at the first failure."""
        for name in day.keys() | month.keys():
            sums = (day.get(name, 0.0), month.get(name, 0.0))
            if any(sums) and await self._step("raise", name, "", now, *sums) is None:
                return
        if self._accounts.reconciled:
            await self._do(lambda redis: redis.set(RECONCILED, "1", ex=REMEMBERED))

    async def _pay(self, debt: _Debt) -> None:
        used = (debt.tokens, debt.usd, int(debt.claimed))
        if await self._step("settle", debt.name, debt.id, self._time(), *used) is not None:
            self._owed.pop(debt.id, None)

    async def _step(self, step: str, name: str, id: str, now: float | str, *arguments: Any) -> Any:
        """One step of the script; None when it is not known to have been done."""
        keys = [ACCOUNT + name, RECONCILED, SETTLED + id]
        return await self._do(lambda _: self._script(keys=keys, args=[step, now, id, *arguments]))

    async def _do(self, operation: Callable[[Redis], Any]) -> Any:
        done = await self._link.do(operation)
        if self._link.aside:
            self._mend_soon()
        return done

    def _owe(self, debt: _Debt) -> None:
        self._owed[debt.id] = debt
        if len(self._owed) > MOST_OWED:
            del self._owed[next(iter(self._owed))]
        self._mend_soon()

    def _mend_soon(self) -> None:
        if self._mending is None:
            self._mending = asyncio.create_task(self._mend())

    async def _mend(self) -> None:
        """Look each second whether Redis is back, and tell it what is owed, until it is there and knows all."""
        try:
            while self._link.aside or self._owed:
                if self._link.aside:
                    await asyncio.sleep(PAUSE)
                    if not await self._link.look():
                        continue
                for debt in list(self._owed.values()):
                    await self._pay(debt)
                if self._owed:
                    await asyncio.sleep(PAUSE)
        finally:
            self._mending = None


def _refusing(answer: Any) -> Limit | None:
    word = answer[0].decode()
    return Limit(word) if word else None
