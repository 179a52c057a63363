"""The arithmetic of one key's limits: what was used, what requests under way may still use, and whether one more fits.

`limits.lua` does the same sums in Redis; one suite holds both to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

# Seconds that a count per minute looks back. The second in which they begin counts in full, so that no 60 seconds ever
# hold more than the limit, wherever they begin.
WINDOW = 60
DAY = 86_400
MONTHS = 12


class Limit(StrEnum):
    """What can refuse a request; all but the last are fields of a key."""

    REQUESTS = "requests_per_minute"
    TOKENS = "tokens_per_minute"
    PARALLEL = "parallel"
    DAY = "budget_usd_per_day"
    MONTH = "budget_usd_per_month"
    UNKNOWN = "budget_unknown"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key may use; None where there is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    parallel: int | None = None
    budget_usd_per_day: float | None = None
    budget_usd_per_month: float | None = None

    @property
    def budgeted(self) -> bool:
        """Whether dollars are limited."""
        return self.budget_usd_per_day is not None or self.budget_usd_per_month is not None

    @property
    def unlimited(self) -> bool:
        """Whether nothing is limited."""
        return self == _NONE


_NONE = Limits()


class Claim(msgspec.Struct, frozen=True):
    """The most that a request may use; `usd` is None where the price is not known. ValueError when that is no amount."""

    tokens: int
    usd: float | None

    def __post_init__(self) -> None:
        if self.tokens < 0 or not (self.usd is None or is_amount(self.usd)):
            raise ValueError(f"a claim is of nothing or more, not of {self.tokens} tokens and {self.usd} dollars")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which limit refuses, at `now`, and when there is room again; both in epoch seconds of whoever counts.

    `passing`: only requests under way stand in the way, so there is room as soon as enough of them have ended.
    """

    limit: Limit
    passing: bool
    now: float
    room: float

    @property
    def seconds(self) -> int:
        """Whole seconds until there may be room, at least 1."""
        return max(1, math.ceil(self.room - self.now))


@dataclass(slots=True)
class Account:
    """What one key has used: requests and tokens by second, dollars by day and month, and the claims under way by id."""

    requests: dict[int, int] = field(default_factory=dict)
    tokens: dict[int, int] = field(default_factory=dict)
    days: dict[int, float] = field(default_factory=dict)
    months: dict[int, float] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)

    def refusal(self, limits: Limits, claim: Claim, now: float) -> Refusal | None:
        """Why a request with this claim is refused; None when it fits. What is over is forgotten first."""
        self.forget(now)
        return self._used_up(limits, now) or self._under_way(limits, claim, now)

    def enter(self, id: str, claim: Claim, now: float) -> None:
        """Count a request that is admitted, and its claim."""
        _add(self.requests, math.floor(now), 1)
        self.claims[id] = claim

    def settle(self, id: str, tokens: int, usd: float, now: float) -> bool:
        """Put what was used in the claim's place; False, and nothing changes, when no such request is under way."""
        if self.claims.pop(id, None) is None:
            return False
        if tokens:
            _add(self.tokens, math.floor(now), tokens)
        if usd:
            day, month = day_of(now), month_of(now)
            self.days[day] = self.days.get(day, 0.0) + usd
            self.months[month] = self.months.get(month, 0.0) + usd
        return True

    def spent(self, now: float) -> tuple[float, float]:
        """The dollars spent this day and this month."""
        return self.days.get(day_of(now), 0.0), self.months.get(month_of(now), 0.0)

    def raise_spent(self, day: float, month: float, now: float) -> None:
        """Have at least so many dollars spent of that day and that month."""
        for spent, period, usd in ((self.days, day_of(now), day), (self.months, month_of(now), month)):
            if usd > spent.get(period, 0.0):
                spent[period] = usd

    def forget(self, now: float) -> None:
        """Drop the seconds, days and months that count no longer."""
        second = math.floor(now)
        for counts in (self.requests, self.tokens):
            # A second far ahead is from before the clock was set back, and must not count until it comes again.
            for old in [at for at in counts if abs(at - second) > WINDOW]:
                del counts[old]
        for spent, current in ((self.days, day_of(now)), (self.months, month_of(now))):
            for period in [period for period in spent if period < current]:
                del spent[period]

    def is_idle(self, now: float) -> bool:
        """Whether there is nothing left to remember."""
        self.forget(now)
        return not (self.requests or self.tokens or self.days or self.months or self.claims)

    def _used_up(self, limits: Limits, now: float) -> Refusal | None:
        """What stays refused however the requests under way end."""
        day, month = self.spent(now)
        if limits.budget_usd_per_month is not None and month >= limits.budget_usd_per_month:
            return Refusal(Limit.MONTH, passing=False, now=now, room=next_month(now))
        if limits.budget_usd_per_day is not None and day >= limits.budget_usd_per_day:
            return Refusal(Limit.DAY, passing=False, now=now, room=next_day(now))
        room = _room(self.tokens, limits.tokens_per_minute)
        if room is not None:
            return Refusal(Limit.TOKENS, passing=False, now=now, room=room)
        room = _room(self.requests, limits.requests_per_minute)
        if room is not None:
            return Refusal(Limit.REQUESTS, passing=False, now=now, room=room)
        return None

    def _under_way(self, limits: Limits, claim: Claim, now: float) -> Refusal | None:
        """What is refused only until requests under way have ended. Alone, a request may pass a limit by its own part."""
        if not self.claims:
            return None
        day, month = self.spent(now)
        tokens = sum(self.tokens.values()) + sum(other.tokens for other in self.claims.values()) + claim.tokens
        usd = sum(other.usd or 0.0 for other in self.claims.values()) + (claim.usd or 0.0)
        wanted = (
            (Limit.PARALLEL, len(self.claims) + 1, limits.parallel),
            (Limit.TOKENS, tokens, limits.tokens_per_minute),
            (Limit.DAY, day + usd, limits.budget_usd_per_day),
            (Limit.MONTH, month + usd, limits.budget_usd_per_month),
        )
        for limit, amount, most in wanted:
            if most is not None and amount > most:
                return Refusal(limit, passing=True, now=now, room=now)
        return None


def is_amount(usd: float) -> bool:
    """Whether that can be a sum of money spent."""
    return math.isfinite(usd) and usd >= 0


def day_of(now: float) -> int:
    """The number of the UTC day."""
    return math.floor(now / DAY)


def next_day(now: float) -> float:
    """When the next UTC day begins, in epoch seconds."""
    return float((day_of(now) + 1) * DAY)


def month_of(now: float) -> int:
    """The number of the UTC month: twelve a year, from the year 0."""
    date = datetime.fromtimestamp(now, UTC)
    return date.year * MONTHS + date.month - 1


def month_begins(now: float) -> float:
    """When the UTC month began, in epoch seconds."""
    return _beginning(month_of(now))


def next_month(now: float) -> float:
    """When the next UTC month begins, in epoch seconds."""
    return _beginning(month_of(now) + 1)


def _beginning(month: int) -> float:
    return datetime(month // MONTHS, month % MONTHS + 1, 1, tzinfo=UTC).timestamp()


def _add(counts: dict[int, int], second: int, number: int) -> None:
    counts[second] = counts.get(second, 0) + number


def _room(counts: Mapping[int, int], limit: int | None) -> float | None:
    """When less than the limit will count, in epoch seconds; None when that is so already."""
    left = sum(counts.values())
    if limit is None or left < limit:
        return None
    for second in sorted(counts):
        left -= counts[second]
        if left < limit:
            return second + WINDOW + 1.0
    raise AssertionError("a limit is above 0")
