"""The contract's words, each a string. One that a later release of the router says reads UNSPECIFIED, which is false."""

from __future__ import annotations

from enum import StrEnum


class Purpose(StrEnum):
    """What a request is for; UNSPECIFIED is treated as CHAT."""

    UNSPECIFIED = ""
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

    UNSPECIFIED = ""
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


class DecisionSource(StrEnum):
    """Who, or what, made a decision."""

    UNSPECIFIED = ""
    NOT_DIAMOND = "not_diamond"
    LOCAL = "local"
    PINNED = "pinned"
    ESCALATED = "escalated"
    CACHED = "cached"
    ONLY_CANDIDATE = "only_candidate"
    REQUESTED = "requested"
