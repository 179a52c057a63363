"""Admits requests within their keys' limits; one that only others under way keep out waits for them a while."""

from __future__ import annotations

import asyncio
import secrets

from edge_gateway.access import refusals
from edge_gateway.access.entries import Key
from edge_gateway.access.limiter import Limiter
from edge_gateway.access.limits import Claim, Refusal, is_amount
from edge_gateway.access.waiting import LONGEST, Line, Place


class Ticket:
    """An admitted request; it is to be settled however the request ends."""

    async def settle(self, tokens: int, usd: float) -> None:
        """Say what the request has used, all 0 for nothing; only the first word counts."""


class _Counted(Ticket):
    """The ticket of a key that has limits."""

    def __init__(self, admission: Admission, limiter: Limiter, key: Key, id: str, claim: Claim) -> None:
        self._admission = admission
        self._limiter = limiter
        self._key = key
        self._id = id
        self._claim = claim
        self._settled = False

    async def settle(self, tokens: int, usd: float) -> None:
        """Put what was used in the claim's place; what is no amount counts as what was claimed."""
        if self._settled:
            return
        self._settled = True
        tokens = tokens if tokens >= 0 else self._claim.tokens
        usd = usd if is_amount(usd) else self._claim.usd or 0.0
        try:
            await self._limiter.settle(self._key, self._id, tokens, usd)
        finally:
            self._admission.left(self._key)


class Admission:
    """The door of one edge; wired once, by app."""

    def __init__(self, limiter: Limiter, wait: float = 5.0) -> None:
        """`wait`: the most seconds a request waits for others of its key to end."""
        self._limiter = limiter
        self._wait = wait
        # The lines of keys for which somebody waits, by name.
        self._lines: dict[str, Line] = {}

    @property
    def reconciled(self) -> bool:
        """Whether keys with a budget are served yet: it has to be known what they have spent."""
        return self._limiter.reconciled

    async def enter(self, key: Key, claim: Claim) -> Ticket:
        """Admit a request of this key that uses no more than its claim; a GatewayError says which limit refuses it."""
        if key.limits.unlimited:
            return Ticket()
        if key.limits.budgeted and claim.usd is None:
            raise refusals.price_unknown(key.name)
        id = secrets.token_hex(16)
        refusal = await self._refusal(key, id, claim)
        if refusal is not None:
            raise refusals.refused(key, refusal)
        return _Counted(self, self._limiter, key, id, claim)

    def left(self, key: Key) -> None:
        """A request of this key has ended, so there may be room."""
        if key.name in self._lines:
            self._lines[key.name].call()

    async def _refusal(self, key: Key, id: str, claim: Claim) -> Refusal | None:
        """Why the request stays refused, None once it is admitted."""
        if key.name not in self._lines:
            refusal = await self._limiter.admit(key, id, claim)
            if refusal is None or not refusal.passing:
                return refusal
        line = self._lines.setdefault(key.name, Line())
        if len(line.places) >= LONGEST:
            return await self._limiter.admit(key, id, claim)
        try:
            with Place(line) as place:
                return await self._wait_for_room(place, key, id, claim)
        finally:
            if not line.places:
                self._lines.pop(key.name, None)

    async def _wait_for_room(self, place: Place, key: Key, id: str, claim: Claim) -> Refusal | None:
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._wait
        while True:
            # One who comes while others wait does not pass them.
            await place.wait(max(0.0, deadline - clock()))
            late = clock() >= deadline
            if late or place.first:
                refusal = await self._limiter.admit(key, id, claim)
                if refusal is None or not refusal.passing or late:
                    return refusal
