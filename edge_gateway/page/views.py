"""What the page shows, free of protobuf: decisions, their traces and sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

# Who asks when nothing is sent to a model; no key's name holds a colon.
DRY_RUN = "dry-run:"
# Said while nothing is known.
UNKNOWN = ("", "unspecified")
DELIVERED = "completed"


@dataclass(frozen=True, slots=True)
class Report:
    """What was told of a reply; `first_token` and `latency` in seconds, 0 where they are not known."""

    decision_id: str
    served_model: str
    outcome: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    estimated: bool
    cost: float | None
    first_token: float
    latency: float
    adaptations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A decision in the list; `time` in seconds since the epoch, costs in US dollars, None for what is not known."""

    id: str
    time: float
    tenant: str
    profile: str
    purpose: str
    conversation: str
    model: str
    source: str
    reason: str
    previous: str
    caller: str
    expected_cost: float | None = None
    served_model: str = ""
    outcome: str = ""
    cost: float | None = None
    first_token: float | None = None

    @property
    def dry_run(self) -> bool:
        """Whether it was asked from the page, for no model to answer."""
        return self.caller.startswith(DRY_RUN)

    @property
    def reported(self) -> bool:
        """Whether anything is known of the reply."""
        return self.outcome not in UNKNOWN

    def told(self, report: Report) -> Row:
        """The row with a report taken in: that a reply came says less than how it fared, which may be told before."""
        fared = report.outcome != DELIVERED or not self.reported
        counted = report.input_tokens or report.output_tokens or report.cost
        return replace(
            self,
            outcome=report.outcome if fared else self.outcome,
            served_model=report.served_model or self.served_model,
            cost=report.cost if counted and report.cost is not None else self.cost,
            first_token=report.first_token or self.first_token,
        )

    def merged(self, later: Row) -> Row:
        """What two looks at the decision say together; the later one may come from a list that is not written up yet."""
        if self.reported and not later.reported:
            return self
        return replace(later, first_token=later.first_token or self.first_token)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry of a ranking; None for what is not known."""

    model: str
    reason: str
    cost: float | None
    quality: float | None
    prior_quality: float | None
    score: float | None
    switch_cost: float | None
    outcomes: float
    context_tokens: int


@dataclass(frozen=True, slots=True)
class Removed:
    """A candidate that a filter removed."""

    model: str
    filter: str
    detail: str


@dataclass(frozen=True, slots=True)
class NotDiamond:
    """What Not Diamond was asked and said."""

    model: str
    problem: str
    seconds: float
    cached: bool
    not_offered: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Learning:
    """What outcomes have taught about the candidates."""

    mode: str
    model: str
    prior_model: str
    outcomes: float
    distrust: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole trace of a decision; parts that there were none of are None or empty."""

    row: Row
    ranking: tuple[Candidate, ...]
    facts: Mapping[str, str]
    removed: tuple[Removed, ...] = ()
    not_diamond: NotDiamond | None = None
    pin: tuple[str, bool, str] | None = None
    shadow: tuple[str, str, float | None] | None = None
    learning: Learning | None = None
    previous: tuple[str, str, str, int] | None = None
    reports: tuple[Report, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Sum:
    """What came of the decisions for one purpose that one model answered."""

    purpose: str
    model: str
    decisions: int
    replies: int
    reported: int
    cost: float
    baseline: float
    strongest: float
    cheapest: float
    judged: int
    applied_first: int


@dataclass(frozen=True, slots=True)
class Profile:
    """A routing policy that can be asked for."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A prompt to route without sending it; the router sees no more than `shown` characters."""

    text: str
    shown: int
    profile: str
    purpose: str
    tenant: str
    caller: str
    providers: tuple[str, ...]
