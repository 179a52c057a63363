"""The router's own words: requests, decisions and what stands in them, free of protobuf and of any I/O."""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec import field


class Purpose(StrEnum):
    """What a request is for."""

    CODE = "code"
    ASK = "ask"
    CONTEXT = "context"
    ARCHITECT = "architect"
    EDITOR = "editor"
    COMMIT = "commit"
    SUMMARY = "summary"
    CACHE_PING = "cache_ping"
    CHAT = "chat"


class Outcome(StrEnum):
    """How a reply fared."""

    UNKNOWN = "unknown"
    NONE = "none"
    APPLIED = "applied"
    NO_EDITS = "no_edits"
    EDIT_FAILED = "edit_failed"
    LINT_FAILED = "lint_failed"
    COMMAND_FAILED = "command_failed"
    UNDONE = "undone"
    INTERRUPTED = "interrupted"
    PROVIDER_FAILED = "provider_failed"
    COMPLETED = "completed"


# Outcomes that show that the model did not manage.
FAILURES = frozenset({Outcome.EDIT_FAILED, Outcome.LINT_FAILED, Outcome.COMMAND_FAILED, Outcome.UNDONE})


class Source(StrEnum):
    """Who, or what, made a decision."""

    NOT_DIAMOND = "not_diamond"
    LOCAL = "local"
    PINNED = "pinned"
    ESCALATED = "escalated"
    CACHED = "cached"
    ONLY_CANDIDATE = "only_candidate"
    REQUESTED = "requested"


class Word(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An immutable value; as JSON it is written without the fields that are empty, which mean the same to every release.

    A default that is not empty comes from a factory: it is written, for a later release may have another one.
    """


class Message(Word, frozen=True):
    """One turn of the conversation, clipped to what decides."""

    role: str
    text: str


class Requirements(Word, frozen=True):
    """What the reply needs of a model; tokens are estimates."""

    input_tokens: int = 0
    output_tokens: int = 0
    vision: bool = False
    tools: bool = False
    json: bool = False
    prefix_tokens: int = 0


class PreviousReply(Word, frozen=True):
    """What is known about the conversation's previous reply."""

    outcome: Outcome = field(default_factory=lambda: Outcome.UNKNOWN)
    model: str = ""
    decision_id: str = ""
    consecutive_failures: int = 0


NOBODY: frozenset[str] = frozenset()


class Request(Word, frozen=True):
    """One request to be decided; exactly one of profile, candidates and model is set."""

    messages: tuple[Message, ...] = ()
    profile: str = ""
    candidates: tuple[str, ...] = ()
    model: str = ""
    purpose: Purpose = field(default_factory=lambda: Purpose.CHAT)
    edit_format: str = ""
    conversation_id: str = ""
    requirements: Requirements = Requirements()
    available_providers: frozenset[str] = NOBODY
    cost_quality_tradeoff: int | None = None
    preference_id: str = ""
    previous_reply: PreviousReply = PreviousReply()
    metadata: dict[str, str] = field(default_factory=dict)
    tenant: str = ""
    ignore_pin: bool = False
    unhealthy_providers: frozenset[str] = NOBODY
    continuation: bool = False
    caller: str = ""


class Ranked(Word, frozen=True):
    """One entry of a ranking; what is not known is None."""

    model: str
    reason: str
    expected_cost_usd: float | None = None
    context_tokens: int = 0
    quality: float | None = None
    score: float | None = None
    switch_cost_usd: float | None = None
    prior_quality: float | None = None
    outcomes: float = 0.0


class Removed(Word, frozen=True):
    """A candidate that a hard filter removed, and what it lacked."""

    model: str
    filter: str
    detail: str


class Consultation(Word, frozen=True):
    """What became of asking Not Diamond: a checked recommendation, or the problem with its answer."""

    model: str = ""
    session_id: str = ""
    problem: str = ""
    elapsed_seconds: float = 0.0
    cached: bool = False
    not_offered: tuple[str, ...] = ()


class PinTrace(Word, frozen=True):
    """What became of a conversation's pin: the model, whether the decision kept to it, and why."""

    model: str
    kept: bool
    reason: str


class ShadowTrace(Word, frozen=True):
    """What another profile's policy would have decided; it was not applied."""

    profile: str
    model: str
    expected_cost_usd: float | None = None


class LearningTrace(Word, frozen=True):
    """What outcomes have taught about a decision's candidates; `mode` says whether the decision rests on it."""

    mode: str
    model: str
    prior_model: str
    outcomes: float = 0.0
    distrust: str = ""


class Decision(Word, frozen=True):
    """A decision with its reasons; `ranking` starts with the chosen model, `time` is seconds since the epoch."""

    id: str
    model: str
    ranking: tuple[Ranked, ...]
    source: Source
    reason: str
    request: Request
    cost_quality_tradeoff: int
    removed: tuple[Removed, ...] = ()
    consultation: Consultation | None = None
    time: float = 0.0
    policy: str = ""
    pin: PinTrace | None = None
    shadow: ShadowTrace | None = None
    baseline_model: str = ""
    baseline_cost_usd: float | None = None
    valid_for_seconds: float = 0.0
    strongest_model: str = ""
    cheapest_model: str = ""
    learning: LearningTrace | None = None
    note: bool = False
    lease_seconds: float = 0.0


class Leased(Word, frozen=True):
    """A decision that a caller has made under a lease: its id, the decision that came with the lease, and its time."""

    decision_id: str
    lease: str
    time: float
    request: Request
