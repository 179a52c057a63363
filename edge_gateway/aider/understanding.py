"""The words for what a request of Aider says about itself."""

from __future__ import annotations

from enum import StrEnum

import msgspec


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


class PreviousOutcome(StrEnum):
    """How the conversation's previous reply fared, as this request shows it."""

    NONE = "none"
    APPLIED = "applied"
    NO_EDITS = "no_edits"
    EDIT_FAILED = "edit_failed"
    LINT_FAILED = "lint_failed"
    COMMAND_FAILED = "command_failed"
    UNDONE = "undone"
    INTERRUPTED = "interrupted"


class ChatFile(msgspec.Struct, frozen=True):
    """A file in the chat: its name, a digest of its contents (16 bytes, of this process), and their length in characters."""

    name: str
    digest: bytes
    characters: int


class Understanding(msgspec.Struct, frozen=True):
    """What a request says about itself.

    `failures`: how many failed replies in a row it shows, the previous one included; a reply without edits and an
    interrupted one do not count, and do not end the row either. `continuation`: the last message is the beginning of the
    reply. `files`: those that may be edited, not the read-only ones. `repo_map_characters`: the length of the message
    that holds the map. `user_text`: the current turn without what Aider appends to it, and without blanks at its ends;
    for an editor the architect's plan. `stable_turns`: with how many turns, from the first, the next request of the
    conversation is expected to begin as well, so that a provider's prompt cache may serve them; 0 where none is expected.
    """

    purpose: Purpose
    edit_format: str
    previous_outcome: PreviousOutcome
    failures: int = 0
    continuation: bool = False
    files: tuple[ChatFile, ...] = ()
    repo_map_characters: int = 0
    images: int = 0
    user_text: str = ""
    stable_turns: int = 0
