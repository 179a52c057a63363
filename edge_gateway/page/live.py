"""Follows the router while somebody watches, and hands each watcher what has changed, as much at once as it can take."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass

from edge_gateway.page.calls import Calls, Refused, RouterAway, Watching
from edge_gateway.page.filters import Filter
from edge_gateway.page.listing import Listing
from edge_gateway.page.views import Report, Row

# Rows that are remembered, and that one watcher is behind at most: no page shows more.
REMEMBERED, BEHIND = 500, 100
# Seconds between two looks at the list: a watch tells of one router, and there may be more.
LOOK_AGAIN = 10.0
# Seconds until the router is watched again: after a watch that ended, as each does in time, and after one that never began.
ANEW, PAUSE = 0.1, 1.0
UP, AWAY = "up", "away"


@dataclass(frozen=True, slots=True)
class News:
    """What has changed for a watcher: the router's state where it is news, rows, the oldest first, or that this is the end."""

    state: str
    rows: tuple[Row, ...]
    ended: bool


class Watcher:
    """One who watches; what it has not taken yet is kept once for each decision."""

    def __init__(self, wanted: Callable[[Row], bool]) -> None:
        """`wanted`: whether it wants to see a decision."""
        self._wanted = wanted
        self._rows: OrderedDict[str, Row] = OrderedDict()
        self._state = ""
        self._ended = False
        self._changed = asyncio.Event()

    def show(self, row: Row) -> None:
        """Have a decision shown, if it is wanted."""
        if self._wanted(row):
            self._rows[row.id] = row
            while len(self._rows) > BEHIND:
                self._rows.popitem(last=False)
            self._changed.set()

    def say(self, state: str) -> None:
        """Have the router's state told."""
        self._state = state
        self._changed.set()

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._changed.set()

    async def wait(self, longest: float) -> bool:
        """Wait until something has changed; False where nothing has within so many seconds."""
        try:
            async with asyncio.timeout(longest):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def rest(self, seconds: float) -> None:
        """Let news gather for so many seconds; an end does not wait."""
        if not self._ended:
            await asyncio.sleep(seconds)

    def take(self) -> News:
        """What has changed since the last time."""
        news = News(self._state, tuple(sorted(self._rows.values(), key=lambda row: (row.time, row.id))), self._ended)
        self._rows.clear()
        self._state = ""
        self._changed.clear()
        return news


class Live:
    """All who watch; the router is followed for them together, and for nobody not at all."""

    def __init__(self, calls: Calls, listing: Listing) -> None:
        self._calls = calls
        self._listing = listing
        self._rows: OrderedDict[str, Row] = OrderedDict()
        self._watchers: set[Watcher] = set()
        self._state = ""
        self._work: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        return len(self._watchers)

    def remembered(self, wanted: Filter) -> tuple[Row, ...]:
        """What is known of the latest decisions, latest first, for when the router cannot be asked."""
        rows = (row for row in self._rows.values() if wanted.matches(row))
        return tuple(sorted(rows, key=lambda row: (row.time, row.id), reverse=True))

    def remember(self, rows: tuple[Row, ...]) -> None:
        """Keep what a list said."""
        for row in rows:
            self._keep(row)

    @contextmanager
    def watching(self, wanted: Filter) -> Iterator[Watcher]:
        """A watcher of the decisions that the filter asks for, until the context is left."""
        watcher = Watcher(wanted.matches)
        for row in reversed(self.remembered(wanted)[:BEHIND]):
            watcher.show(row)
        if self._state:
            watcher.say(self._state)
        self._watchers.add(watcher)
        if not self._work:
            self._work = [asyncio.create_task(self._follow()), asyncio.create_task(self._look_again())]
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if not self._watchers:
                self._stop()

    def close(self) -> None:
        """End every watch."""
        self._stop()
        for watcher in tuple(self._watchers):
            watcher.end()

    def _stop(self) -> None:
        for task in self._work:
            task.cancel()
        self._work.clear()
        self._state = ""

    async def _follow(self) -> None:
        while True:
            began = False
            with suppress(RouterAway):
                async with aclosing(self._calls.watch()) as events:
                    async for event in events:
                        if isinstance(event, Watching):
                            began = True
                            await self._catch_up()
                            self._say(UP)
                        else:
                            await self._take(event)
            if not began:
                self._say(AWAY)
            await asyncio.sleep(ANEW if began else PAUSE)

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            if self._state == UP:
                await self._catch_up()

    async def _catch_up(self) -> None:
        """Show what was missed, as far as the latest page of the list tells."""
        try:
            found = await self._listing.page(Filter())
        except (RouterAway, Refused):
            return
        for row in reversed(found.rows):
            self._show(row)

    async def _take(self, event: Row | Report) -> None:
        if isinstance(event, Row):
            self._show(event)
            return
        known = self._rows.get(event.decision_id)
        if known is not None:
            self._show(known.told(event))
            return
        if len(self._rows) >= REMEMBERED:
            # So many were decided since that no page shows it; asking for each would burden the router when it is busiest.
            return
        try:
            self._show((await self._calls.explain(event.decision_id)).row)
        except (RouterAway, Refused):
            # The next look at the list tells.
            return

    def _show(self, row: Row) -> None:
        before = self._rows.get(row.id)
        kept = self._keep(row)
        if kept != before:
            for watcher in self._watchers:
                watcher.show(kept)

    def _keep(self, row: Row) -> Row:
        before = self._rows.get(row.id)
        kept = before.merged(row) if before else row
        self._rows[row.id] = kept
        while len(self._rows) > REMEMBERED:
            self._rows.popitem(last=False)
        return kept

    def _say(self, state: str) -> None:
        if state != self._state:
            self._state = state
            for watcher in self._watchers:
                watcher.say(state)
