"""Reads lists of decisions from the router, as many as a page shows."""

from __future__ import annotations

from dataclasses import dataclass

from edge_gateway.page.calls import Calls
from edge_gateway.page.filters import Filter
from edge_gateway.page.views import Row

PAGE = 50
# Decisions that are looked through for a page at most, where the router's own list cannot be narrowed as far.
LOOKED_THROUGH, CHUNK = 2000, 200
# Replies that the distribution of waits is drawn from.
SAMPLE = 100


@dataclass(frozen=True, slots=True)
class Found:
    """A page of decisions; `token` is empty after the last, `more` says that only a part has been looked through."""

    rows: tuple[Row, ...]
    token: str = ""
    more: bool = False


class Listing:
    """Lists of decisions."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def page(self, wanted: Filter, token: str = "", size: int = PAGE) -> Found:
        """The decisions that a filter asks for, from a token on."""
        rows: list[Row] = []
        looked = 0
        through = wanted.purpose or wanted.source
        while True:
            found, token = await self._calls.decisions(
                wanted.tenant, wanted.profile, wanted.model, wanted.conversation, CHUNK if through else size, token
            )
            looked += len(found)
            rows += [row for row in found if wanted.matches(row)]
            if not through or not token or len(rows) >= size or looked >= LOOKED_THROUGH:
                break
        return Found(tuple(rows), token, more=bool(through and token and len(rows) < size))
