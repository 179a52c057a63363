"""The words of what became of decisions: reports, verdicts, and what is asked of many; free of protobuf and of any I/O."""

from __future__ import annotations

from router_service.domain import Outcome, Purpose, Source, Word


class Report(Word, frozen=True):
    """How the reply to a decision fared, as its caller reports it; what is not known is 0 or None."""

    decision_id: str
    served_model: str
    outcome: Outcome
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cost_usd: float | None = None
    baseline_cost_usd: float | None = None
    latency_seconds: float = 0.0
    time_to_first_byte_seconds: float = 0.0
    strongest_cost_usd: float | None = None
    cheapest_cost_usd: float | None = None
    tokens_estimated: bool = False
    adaptations: tuple[str, ...] = ()


class Verdict(Word, frozen=True):
    """How a reply fared in the end, with what learning needs of its decision; times are seconds since the epoch.

    `first` tells a reply to the user's request from one that had an earlier reply's failure to mend.
    """

    decision_id: str
    reported: float
    tenant: str
    purpose: Purpose
    edit_format: str
    model: str
    outcome: Outcome
    first: bool


class Query(Word, frozen=True):
    """Which decisions to list or sum up; what is empty does not restrict, times are seconds since the epoch."""

    tenant: str = ""
    profile: str = ""
    conversation_id: str = ""
    model: str = ""
    since: float = 0.0
    until: float = 0.0


class Summary(Word, frozen=True):
    """A decision in a list, with what was reported of it; what is not known is empty, 0 or None."""

    decision_id: str
    time: float
    tenant: str
    profile: str
    purpose: Purpose
    conversation_id: str
    model: str
    source: Source
    reason: str
    expected_cost_usd: float | None = None
    served_model: str = ""
    outcome: Outcome = Outcome.UNKNOWN
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    baseline_cost_usd: float | None = None
    previous_outcome: Outcome = Outcome.UNKNOWN
    strongest_cost_usd: float | None = None
    cheapest_cost_usd: float | None = None
    tokens_estimated: bool = False
    caller: str = ""
    time_to_first_byte_seconds: float = 0.0


class Page(Word, frozen=True):
    """Summaries, latest first, and the token of the next page; empty when this is the last."""

    summaries: tuple[Summary, ...]
    next_token: str = ""


class Savings(Word, frozen=True):
    """Decisions of one purpose and served model summed up; costs over those whose tokens were reported."""

    purpose: Purpose | None
    model: str
    decisions: int
    reported: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    baseline_cost_usd: float
    turns: int = 0
    applied_first_time: int = 0
    applied: int = 0
    rescued: int = 0
    failed: int = 0
    escalated: int = 0
    strongest_cost_usd: float = 0.0
    cheapest_cost_usd: float = 0.0
    estimated: int = 0
    judged: int = 0
    replies: int = 0


class Spending(Word, frozen=True):
    """What one caller's replies have cost, over those whose cost is known; `decisions` counts them all."""

    caller: str
    cost_usd: float
    decisions: int
