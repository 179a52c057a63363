"""What the page's addresses share: the router's answers put together, and how they are rendered."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_gateway.page import plots
from edge_gateway.page.asking import Viewer
from edge_gateway.page.calls import Calls, Refused, RouterAway
from edge_gateway.page.filters import SPANS, Filter, read_filter
from edge_gateway.page.first_prompt import FirstPrompt
from edge_gateway.page.listing import SAMPLE, Found, Listing
from edge_gateway.page.live import Live
from edge_gateway.page.rendering import Rendering
from edge_gateway.page.views import Profile, Sum
from edge_gateway.page.wire import PURPOSES, SOURCES

# Seconds that sums are shown for before they are asked for again: a large ledger takes long to sum up.
FRESH = 5.0
# Seconds for which a ledger that was too slow to be summed up is left alone: it goes on with the question before.
LATER, LATE = 60.0, "DEADLINE_EXCEEDED"
KEPT_SUMS = 32
SPAN_WORDS = {"1d": "the last day", "7d": "the last 7 days", "30d": "the last 30 days", "all": "all that is kept"}


@dataclass(frozen=True, slots=True)
class Choices:
    """What the filters offer."""

    profiles: tuple[str, ...]
    models: tuple[str, ...]
    purposes: tuple[str, ...] = PURPOSES
    sources: tuple[str, ...] = SOURCES
    spans: tuple[tuple[str, str], ...] = tuple((name, SPAN_WORDS[name]) for name in SPANS)


class House:
    """The parts of the page, and the pages that take several of them."""

    def __init__(self, calls: Calls, first: FirstPrompt, routing_characters: int) -> None:
        """`routing_characters`: as many of a prompt does the router see, here as elsewhere."""
        self.calls = calls
        self.listing = Listing(calls)
        self.live = Live(calls, self.listing)
        self.rendering = Rendering()
        self.routing_characters = routing_characters
        self._first = first
        self._sums: OrderedDict[tuple[str, str, str], tuple[float, tuple[Sum, ...] | None]] = OrderedDict()

    def wanted(self, query: Mapping[str, str], who: Viewer) -> Filter:
        """The decisions that an address asks for, as far as its viewer may see them."""
        return read_filter(query, who.tenant)

    async def home(self, query: Mapping[str, str], who: Viewer) -> str:
        """The list, and at its latest page the figures."""
        wanted, token = self.wanted(query, who), query.get("page", "")[:1000]
        found, sums, profiles = await asyncio.gather(self._found(wanted, token), self._summed(wanted), self._profiles())
        rows = self.live.remembered(wanted) if found is None and not token else (found.rows if found else ())
        if found is not None and not token:
            self.live.remember(found.rows)
        shown: dict[str, Any] = {
            "wanted": wanted,
            "older": bool(token),
            "away": found is None,
            "rows": rows,
            "token": found.token if found else "",
            "more": bool(found and found.more),
            "choices": _choices(wanted, profiles, sums or ()),
            "figures": None if token else await self._figures(wanted, sums),
            "first": self._first,
        }
        return await self.rendering.page("home.html", here="home", **shown)

    async def figures(self, query: Mapping[str, str], who: Viewer) -> str:
        """The figures alone."""
        wanted = self.wanted(query, who)
        figures = await self._figures(wanted, await self._summed(wanted))
        return await self.rendering.page("figures.html", wanted=wanted, figures=figures)

    async def _figures(self, wanted: Filter, sums: tuple[Sum, ...] | None) -> plots.Figures | None:
        if sums is None:
            return None
        fitting = [row for row in sums if wanted.purpose in ("", row.purpose) and wanted.model in ("", row.model)]
        try:
            latest = (await self.listing.page(wanted, size=SAMPLE)).rows
        except (RouterAway, Refused):
            latest = ()
        return plots.figures(fitting, latest[:SAMPLE])

    async def _found(self, wanted: Filter, token: str) -> Found | None:
        """The page of the list; None where the router does not tell."""
        try:
            return await self.listing.page(wanted, token)
        except RouterAway:
            return None
        except Refused:
            # An address that somebody has written by hand.
            return Found(())

    async def _summed(self, wanted: Filter) -> tuple[Sum, ...] | None:
        """The sums, from a moment ago where they are known; None where the router does not tell."""
        asked, now = (wanted.tenant, wanted.profile, wanted.span), time.time()
        known = self._sums.get(asked)
        if known and now - known[0] < FRESH:
            return known[1]
        try:
            sums: tuple[Sum, ...] | None = await self.calls.sums(wanted.tenant, wanted.profile, wanted.since(now))
        except (RouterAway, Refused) as problem:
            sums = known[1] if known else None
            if str(problem) != LATE:
                return sums
            now += LATER
        self._sums[asked] = (now, sums)
        while len(self._sums) > KEPT_SUMS:
            self._sums.popitem(last=False)
        return sums

    async def _profiles(self) -> tuple[Profile, ...]:
        try:
            return await self.calls.profiles()
        except (RouterAway, Refused):
            return ()


def _choices(wanted: Filter, profiles: tuple[Profile, ...], sums: tuple[Sum, ...]) -> Choices:
    """What the filters offer; what is asked for is among it."""
    named = dict.fromkeys([profile.name for profile in profiles] + [wanted.profile] * bool(wanted.profile))
    models = sorted({row.model for row in sums} | ({wanted.model} if wanted.model else set()))
    return Choices(tuple(named), tuple(models))
