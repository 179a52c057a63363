"""What the router answers, as frozen values; names and meanings are the contract's, units as in `asked`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from router_client.asked import PreviousReply, Report, Requirements
from router_client.words import DecisionSource, Outcome, Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedModel:
    """An entry of a decision's ranking, and why it stands there; `quality` is an estimate from 0 to 1."""

    model: str
    reason: str
    expected_cost_usd: float | None
    context_tokens: int
    quality: float | None
    score: float | None
    switch_cost_usd: float | None
    prior_quality: float | None
    outcomes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The model that was selected, and the ranking: it stands first, and the others are those to fail over to, in their order.

    `valid_for`: how long it may be used again for the conversation; `lease`: how long the caller may keep the conversation on
    this model without asking.
    """

    decision_id: str
    model: str
    ranking: tuple[RankedModel, ...]
    source: DecisionSource
    reason: str
    not_diamond_session_id: str
    valid_for: timedelta | None
    baseline_model: str
    baseline_cost_usd: float | None
    note: bool
    lease: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedCandidate:
    """A candidate that a filter removed, and what it lacked."""

    model: str
    filter: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A report was kept; `cost_usd` is what the reply cost, None when that is not known."""

    cost_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """An entry of the catalogue; prices are US dollars per million tokens, `checked` is the day they were."""

    id: str
    context_tokens: int
    max_output_tokens: int
    input_usd_per_mtok: float
    output_usd_per_mtok: float
    cache_read_usd_per_mtok: float | None
    vision: bool
    tools: bool
    json: bool
    quality: float
    quality_source: str
    source: str
    checked: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A routing policy that may be asked for by its name, and the models it chooses from."""

    name: str
    description: str
    candidates: tuple[str, ...]
    cost_quality_tradeoff: int
    not_diamond: bool
    note: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDiamondTrace:
    """What became of asking Not Diamond; `problem` is empty when its answer was used."""

    model: str
    problem: str
    elapsed: timedelta | None
    cached: bool
    not_offered: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PinTrace:
    """What became of the conversation's pin."""

    model: str
    kept: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowTrace:
    """What another policy would have decided."""

    profile: str
    model: str
    expected_cost_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningTrace:
    """What outcomes have taught about the candidates; `mode` is on or shadow."""

    mode: str
    model: str
    prior_model: str
    outcomes: float
    distrust: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The whole trace of a decision; what there was none of is None."""

    decision: Decision
    purpose: Purpose
    profile: str
    conversation_id: str
    requirements: Requirements | None
    cost_quality_tradeoff: int
    removed: tuple[RemovedCandidate, ...]
    not_diamond: NotDiamondTrace | None
    outcomes: tuple[Report, ...]
    metadata: Mapping[str, str]
    time: datetime | None
    tenant: str
    pin: PinTrace | None
    policy: str
    shadow: ShadowTrace | None
    edit_format: str
    previous_reply: PreviousReply | None
    learning: LearningTrace | None
    caller: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSummary:
    """A decision in a list, with what was reported of it."""

    decision_id: str
    time: datetime | None
    tenant: str
    profile: str
    purpose: Purpose
    conversation_id: str
    model: str
    source: DecisionSource
    reason: str
    expected_cost_usd: float | None
    served_model: str
    outcome: Outcome
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    baseline_cost_usd: float | None
    previous_outcome: Outcome
    tokens_estimated: bool
    caller: str
    time_to_first_byte: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SavingsRow:
    """Decisions summed up: those for one purpose that one model answered, or all (both empty); the contract has what counts."""

    purpose: Purpose
    model: str
    decisions: int
    reported: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    baseline_cost_usd: float
    turns: int
    applied_first_time: int
    rescued: int
    failed: int
    escalated: int
    cost_per_applied_usd: float | None
    strongest_cost_usd: float
    cheapest_cost_usd: float
    estimated: int
    judged: int
    replies: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """The sums by purpose and model, the dearest first, and all of them together."""

    rows: tuple[SavingsRow, ...]
    total: SavingsRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What one caller's replies have cost; `caller` is empty for all requests whose caller nobody said."""

    caller: str
    cost_usd: float
    decisions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """Which release of the router answers, and the revision of the contract that it serves."""

    release: str
    contract_revision: int
