"""What the router is asked and told, as frozen values; names and meanings are the contract's.

Times are aware datetimes, spans of time timedeltas, costs US dollars. What is not known is None, 0 or empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from router_client.words import Outcome, Purpose


@dataclass(frozen=True, slots=True)
class Message:
    """A turn of the conversation, clipped to what decides; `role` is system, user, assistant or tool."""

    role: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What the reply needs of a model: tokens (0 when not said) and abilities; a model without it is removed.

    `prefix_tokens`: how many of the input tokens the conversation's previous request began with as well.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    vision: bool = False
    tools: bool = False
    json: bool = False
    prefix_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousReply:
    """How the conversation's previous reply fared, and which model and decision it came of, where that is known."""

    outcome: Outcome = Outcome.UNSPECIFIED
    model: str = ""
    decision_id: str = ""
    consecutive_failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """A span of a distributed trace, in the W3C's words."""

    traceparent: str
    tracestate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request to a language model, for which a model is to be selected.

    Exactly one of `profile` (a routing policy's name), `candidates` and `model` (`provider/model` each) is given. The texts of
    `messages` may decide, and reach Not Diamond unless the profile forbids that; none are needed. `cost_quality_tradeoff`:
    0 = quality alone, 10 = cost alone, None = the profile's own. `available_providers`: those that the caller can reach, empty
    for all; `unhealthy_providers`: those it sees failing now. `metadata` is kept with the decision, so it holds no secrets.
    """

    profile: str = ""
    candidates: tuple[str, ...] = ()
    model: str = ""
    purpose: Purpose = Purpose.UNSPECIFIED
    messages: tuple[Message, ...] = ()
    requirements: Requirements = Requirements()
    conversation_id: str = ""
    available_providers: tuple[str, ...] = ()
    unhealthy_providers: tuple[str, ...] = ()
    cost_quality_tradeoff: int | None = None
    preference_id: str = ""
    previous_reply: PreviousReply | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    edit_format: str = ""
    tenant: str = ""
    caller: str = ""
    ignore_pin: bool = False
    continuation: bool = False
    trace_context: TraceContext | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How the reply to a decision fared; `adaptations` are the names of the rules by which its request was changed.

    `latency` and `time_to_first_byte` count from the request's arrival; tokens are 0 where they are not known.
    """

    decision_id: str
    served_model: str = ""
    outcome: Outcome = Outcome.UNSPECIFIED
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cost_usd: float | None = None
    latency: timedelta | None = None
    time_to_first_byte: timedelta | None = None
    tokens_estimated: bool = False
    adaptations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedDecision:
    """A decision that the caller made by itself under the lease of the decision `lease`.

    `decision_id` is `lease_` and 32 hexadecimal digits of the caller's own making.
    """

    decision_id: str
    lease: str
    time: datetime
    request: Question


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFilter:
    """Which decisions are wanted; what is empty does not restrict. `since`: decided then or later."""

    tenant: str = ""
    profile: str = ""
    conversation_id: str = ""
    model: str = ""
    since: datetime | None = None


EVERY = DecisionFilter()
