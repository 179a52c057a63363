"""Which decisions somebody wants to see, as the page's address says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from urllib.parse import urlencode

from edge_gateway.page.views import Row

LONGEST = 200
DAY = 86_400.0
# What figures may be summed over, in seconds; 0 for all that is kept.
SPANS = {"1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "all": 0.0}
USUAL_SPAN = "7d"


@dataclass(frozen=True, slots=True)
class Filter:
    """What is empty does not restrict; `tenant` is the asker's own and stands in no address."""

    tenant: str = ""
    profile: str = ""
    model: str = ""
    purpose: str = ""
    source: str = ""
    conversation: str = ""
    span: str = USUAL_SPAN

    @property
    def narrow(self) -> bool:
        """Whether it leaves anything out of the list."""
        return any((self.profile, self.model, self.purpose, self.source, self.conversation))

    @property
    def query(self) -> str:
        """The address's query that says the same."""
        said = {name: getattr(self, name) for name in NAMES}
        return urlencode(
            {name: value for name, value in said.items() if value and (name, value) != ("span", USUAL_SPAN)}
        )

    def matches(self, row: Row) -> bool:
        """Whether the list shows this decision."""
        return (
            self.tenant in ("", row.tenant)
            and self.profile in ("", row.profile)
            and self.model in ("", row.model)
            and self.purpose in ("", row.purpose)
            and self.source in ("", row.source)
            and self.conversation in ("", row.conversation)
        )

    def since(self, now: float) -> float:
        """From when on figures are summed, in seconds since the epoch."""
        span = SPANS[self.span]
        return now - span if span else 0.0


NAMES = tuple(field.name for field in fields(Filter) if field.name != "tenant")


def read_filter(query: Mapping[str, str], tenant: str) -> Filter:
    """The filter that an address asks for."""
    said = {name: query.get(name, "").strip()[:LONGEST] for name in NAMES}
    return Filter(tenant, **{**said, "span": said["span"] if said["span"] in SPANS else USUAL_SPAN})
