"""Understands Aider from a request's text alone: what it is for, its edit format, how the previous reply fared.

The marks are the wording of Aider's own prompts (0.86, and loosely enough for its neighbours). Whatever is not recognised
is a chat: a wrong guess would cost more than none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from edge_gateway.chat_request import ChatRequest, Turn


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


@dataclass(frozen=True, slots=True)
class ChatFile:
    """A file in the chat: its name, a digest of its contents, and their length in characters."""

    name: str
    digest: bytes
    characters: int


@dataclass(frozen=True, slots=True)
class Understanding:
    """What a request says about itself.

    `failures`: how many failed replies in a row it shows, the previous one included. `continuation`: the last message is
    the beginning of the reply. `user_text`: the current turn without what Aider appends to it.
    """

    purpose: Purpose
    edit_format: str
    previous_outcome: PreviousOutcome
    failures: int = 0
    continuation: bool = False
    files: tuple[ChatFile, ...] = ()
    repo_map_characters: int = 0
    user_text: str = ""


# Looked for in the first message, in this order: the editor's prompt also holds the coder's words.
_PURPOSES: tuple[tuple[Purpose, re.Pattern[str]], ...] = (
    (Purpose.SUMMARY, re.compile(r"\*?briefly\*? summari[sz]e this partial conversation", re.I)),
    (Purpose.COMMIT, re.compile(r"one-line git commit messages?", re.I)),
    (Purpose.ARCHITECT, re.compile(r"expert architect|architect engineer", re.I)),
    (Purpose.ASK, re.compile(r"expert code analyst\.?\s{1,8}answer questions", re.I)),
    (Purpose.CONTEXT, re.compile(r"expert code analyst\.?\s{1,8}understand the user", re.I)),
    (Purpose.ASK, re.compile(r"expert code analyst", re.I)),
    (Purpose.EDITOR, re.compile(r"developer (who edits|and make changes to) source code", re.I)),
    (Purpose.CODE, re.compile(r"expert software developer|\*SEARCH/REPLACE block\*|\*file listing\*", re.I)),
)
_COMMIT_SHAPE = 2

_FENCED = re.compile(r"1\. The opening fence and code language[^\n]*\n2\. The \*FULL\* file path")
_FORMATS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("diff-fenced", _FENCED),
    ("diff", re.compile(r"SEARCH/REPLACE", re.I)),
    ("udiff", re.compile(r"unified diffs?|diff -U0", re.I)),
    ("patch", re.compile(r"\*\*\* Begin Patch")),
    ("whole", re.compile(r"file listing", re.I)),
)

# The head of the last user message, when Aider itself wrote it.
_REFLECTIONS: tuple[tuple[PreviousOutcome, re.Pattern[str]], ...] = (
    (
        PreviousOutcome.EDIT_FAILED,
        re.compile(
            r"^\s*(# \d+ SEARCH/REPLACE blocks? failed to match|UnifiedDiffNo|The LLM did not conform)|\n\^\^\^ Expected",
            re.I,
        ),
    ),
    (PreviousOutcome.LINT_FAILED, re.compile(r"^\s*# Fix any errors below, if possible", re.I)),
    (PreviousOutcome.COMMAND_FAILED, re.compile(r"^\s*I ran this command:\s*\n", re.I)),
)
_APPLIED = re.compile(
    r"^(I committed the changes with git hash|I updated the files\.|I made those changes to the files\.)",
    re.I,
)
_NO_EDITS = re.compile(r"^I didn't see any properly formatted edits in your reply", re.I)
_INTERRUPTED = re.compile(r"^I see that you interrupted my previous reply", re.I)
_FILES = re.compile(r"added these files to the chat\*|these \*read-only\* files", re.I)
# What Aider appends to the last user message; a mark after it is Aider's rules, not the user's turn.
_REMINDER = re.compile(
    r"\n#{1,6} \*?SEARCH/REPLACE block\*? Rules:|\n# File editing rules:|\nTo suggest changes to a file you MUST",
    re.I,
)


def understand(request: ChatRequest) -> Understanding:
    """Read purpose, edit format and previous outcome from a request."""
    purpose = _purpose(request)
    edits = purpose in (Purpose.CODE, Purpose.EDITOR, Purpose.CACHE_PING)
    talks = purpose not in (Purpose.COMMIT, Purpose.SUMMARY, Purpose.CHAT)
    return Understanding(
        purpose=purpose,
        edit_format=_edit_format(request, purpose) if edits else "",
        previous_outcome=_previous_outcome(request.turns) if talks else PreviousOutcome.NONE,
    )


def _purpose(request: ChatRequest) -> Purpose:
    first = request.turns[0].text
    purpose = next((purpose for purpose, mark in _PURPOSES if mark.search(first)), None)
    if purpose is None:
        # --commit-prompt replaces the text, so a commit is known by its shape as well.
        commit = len(request.turns) == _COMMIT_SHAPE and "# Diffs:" in request.turns[1].text
        return Purpose.COMMIT if commit else Purpose.CHAT
    if purpose is Purpose.CODE and request.output_tokens == 1 and not request.stream:
        return Purpose.CACHE_PING
    return purpose


def _edit_format(request: ChatRequest, purpose: Purpose) -> str:
    rules = request.turns[0].text + request.turns[-1].text
    for name, mark in _FORMATS:
        if mark.search(rules):
            return f"editor-{name}" if purpose is Purpose.EDITOR else name
    return ""


def _previous_outcome(turns: tuple[Turn, ...]) -> PreviousOutcome:
    last = next((position for position in range(len(turns) - 1, -1, -1) if turns[position].role == "user"), None)
    if last is None:
        return PreviousOutcome.NONE
    head = _REMINDER.split(turns[last].text, maxsplit=1)[0]
    for outcome, mark in _REFLECTIONS:
        if mark.search(head):
            return outcome
    return _from_history(turns[:last])


def _from_history(history: tuple[Turn, ...]) -> PreviousOutcome:
    """The latest thing the history says of a reply; Aider's small talk and the files block are passed over."""
    for turn in reversed(history):
        text = turn.text.lstrip()
        if turn.role == "assistant":
            if _INTERRUPTED.match(text):
                return PreviousOutcome.INTERRUPTED
            if not text.startswith("Ok"):
                return PreviousOutcome.NONE
        elif _APPLIED.match(text):
            return PreviousOutcome.APPLIED
        elif _NO_EDITS.match(text):
            return PreviousOutcome.NO_EDITS
        elif turn.role == "user" and not _FILES.search(text):
            return PreviousOutcome.NONE
    return PreviousOutcome.NONE
