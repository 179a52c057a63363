"""The edge's words for what it asks of the router and gets back, free of protobuf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec


class PreviousReply(msgspec.Struct, frozen=True):
    """What the conversation's previous reply came to; what is not known is empty or 0.

    `failures`: how many replies in a row have failed, this one included.
    """

    outcome: str = "none"
    model: str = ""
    decision_id: str = ""
    failures: int = 0


class Question(msgspec.Struct, frozen=True):
    """What the router is told of a request; exactly one of profile and model is set.

    `resent`: the client sends it once more. `tenant`: whose request it is, `caller`: who asks within it, empty where nobody
    says.
    """

    purpose: str
    edit_format: str
    turns: Sequence[tuple[str, str]]
    input_tokens: int
    output_tokens: int
    vision: bool
    tools: bool
    json: bool
    available_providers: Sequence[str]
    conversation_id: str = ""
    previous: PreviousReply = PreviousReply()
    prefix_tokens: int = 0
    continuation: bool = False
    resent: bool = False
    profile: str = ""
    model: str = ""
    tenant: str = ""
    caller: str = ""
    metadata: Mapping[str, str] = msgspec.field(default_factory=dict)


class Decision(msgspec.Struct, frozen=True):
    """What the router decided, or what stands in for it; the ranking starts with the chosen model.

    `note`: the user is to be told of the choice. `lease_seconds`: for how long the conversation may stay on the model without
    asking, 0 for not at all; `lease`: the decision by whose lease this one was made here, empty where the router made it.
    """

    id: str
    made_by_router: bool
    ranking: tuple[str, ...]
    source: str
    reason: str
    note: bool = False
    lease_seconds: float = 0.0
    lease: str = ""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model of the router's catalogue: limits in tokens, prices in US dollars per million tokens, None if not known."""

    id: str
    context_tokens: int
    max_output_tokens: int
    input_usd_per_mtok: float
    output_usd_per_mtok: float
    cache_read_usd_per_mtok: float | None = None


@dataclass(frozen=True, slots=True)
class ProfileFacts:
    """A profile of the router, its candidates in the order that serves when it cannot be asked."""

    name: str
    description: str
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """What the router offers."""

    profiles: Mapping[str, ProfileFacts]
    models: Mapping[str, ModelFacts]
