"""Who looks at the page, and whose decisions they may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_gateway.access.entries import Key
from edge_gateway.page.guard import KEY
from edge_gateway.page.views import DRY_RUN, Row

# As much as the router keeps of a caller.
LONGEST = 64


@dataclass(frozen=True, slots=True)
class Viewer:
    """One who looks at the page; `tenant` is whose decisions alone are shown, empty for everybody's."""

    tenant: str
    own_tenant: str
    name: str
    key: Key | None = None

    @property
    def caller(self) -> str:
        """By whom a dry run is asked."""
        return (DRY_RUN + (self.name or "page"))[:LONGEST]

    def may_ask(self, profile: str) -> bool:
        """Whether their key lets them ask for a profile."""
        return self.key is None or self.key.permits(profile)

    def may_see(self, row: Row) -> bool:
        """Whether a decision is shown to them."""
        return self.tenant in ("", row.tenant)


def viewer(scope: Mapping[str, Any], operators: frozenset[str]) -> Viewer:
    """Who asks: without keys anybody sees everything; a key its tenant's decisions, an operator's key everybody's."""
    key: Key | None = scope.get(KEY)
    if key is None:
        return Viewer("", "", "")
    return Viewer("" if key.name in operators else key.tenant, key.tenant, key.name, key)
