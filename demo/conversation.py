"""Reads a chat-completion request into what a scripted reply needs: purpose, files, request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from demo.chat_files import PLAIN_FENCE, fence_of, files_in, shows_files

Purpose = Literal["code", "ask", "context", "architect", "commit", "summary", "cache_ping", "chat"]
EditFormat = Literal["diff", "diff-fenced", "udiff", "whole"]

# The architect's plan ends with this and the request, word for word, for the scripted editor to follow.
PLAN_MARK = "The instruction, word for word:"


@dataclass(frozen=True)
class Conversation:
    """One request, read."""

    purpose: Purpose
    said: str
    """The latest user text without Aider's format reminder."""
    request: str = ""
    """What the user wants changed: `said`, or an earlier turn when `said` reports or nudges."""
    output: str = ""
    """What tests or lint said about the previous reply, if `said` reports that."""
    is_retry: bool = False
    """Whether `said` reports or nudges, so that the request is followed again."""
    edit_format: EditFormat = "diff"
    fence: str = PLAIN_FENCE
    files: Mapping[str, str] = field(default_factory=dict)


# Aider's own words in a user's place; none of them asks for a change.
_REPORTED_OUTPUT = re.compile(r"I ran this command:|# Fix any errors below")
_REPORTED_FAILURE = re.compile(
    r"failed to (?:exactly )?match|UnifiedDiff(?:NoMatch|NotUnique)|\^\^\^ |No filename provided|"
    r"I added these files to the chat:|I have updated the set of files"
)
_AIDER_NOTE = re.compile(
    r"I committed the changes|I (?:updated|edited) the files|I made those changes|I didn't see any properly|"
    r"Here are (?:summaries of )?some |I am working with you on code|I am not sharing|"
    r"Don't try and edit any existing|I did `git reset|I spoke to you previously"
)
_NUDGE = re.compile(
    r"(?:ok|okay|yes|go ahead|do (?:it|that)|(?:please )?(?:continue|retry|try again))(?: please)?[.!]*", re.I
)
# Where the reminder starts, should a client phrase its rules and its reminder differently.
_REMINDER = re.compile(
    r"\n\s*(?:# \*?SEARCH/REPLACE block\*? Rules|# File editing rules|To suggest changes to a file you MUST|"
    r"NEVER RETURN CODE)"
)


def read_conversation(body: Mapping[str, Any]) -> Conversation:
    """Read a request body whose `messages` is a list of objects."""
    messages = [(str(message.get("role")), _text(message.get("content"))) for message in body["messages"]]
    # A model without system prompts gets the rules as its first user text, never as its only one.
    first = messages[0][1] if len(messages) > 1 else ""
    rules = "\n".join([first, *(text for role, text in messages if role == "system")])
    users = _since_the_examples([text for role, text in messages if role == "user"])
    said = _without_reminder(users[-1], rules) if users else ""
    return Conversation(
        purpose=_purpose(body, rules, said),
        said=said,
        request=_request(users, said),
        is_retry=_is_no_request(said),
        output=said.rpartition("And got this output:")[2] if _REPORTED_OUTPUT.search(said) else "",
        edit_format=_edit_format(rules),
        fence=fence_of(rules),
        files=files_in(users),
    )


def _text(content: object) -> str:
    """A message's text, whether it is a string or a list of parts."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _since_the_examples(users: list[str]) -> list[str]:
    """The user texts after Aider's worked examples, which show files and requests that are not real."""
    for index in range(len(users) - 1, -1, -1):
        if users[index].startswith("I switched to a new code base"):
            return users[index + 1 :]
    return users


def _without_reminder(text: str, rules: str) -> str:
    # Aider appends rules that the first message holds too, so whatever their wording they are found there.
    for boundary in re.finditer(r"\n\n", text):
        tail = text[boundary.end() :].strip()
        if tail and tail in rules:
            return text[: boundary.start()].strip()
    marked = _REMINDER.search(text)
    return text[: marked.start()].strip() if marked else text.strip()


def _request(users: list[str], said: str) -> str:
    """The latest user text that asks for a change."""
    for text in [said, *reversed(users[:-1])]:
        asked = text.replace("^C KeyboardInterrupt", "").strip()
        if asked and not _is_no_request(asked):
            return asked.rpartition(PLAN_MARK)[2].strip()
    return said


def _is_no_request(text: str) -> bool:
    notes = (_REPORTED_OUTPUT, _REPORTED_FAILURE, _AIDER_NOTE)
    return shows_files(text) or bool(_NUDGE.fullmatch(text)) or any(note.search(text) for note in notes)


def _purpose(body: Mapping[str, Any], rules: str, said: str) -> Purpose:
    """What the request is for, by loose signs in its first message."""
    short = len(body["messages"]) <= 2  # noqa: PLR2004 - a rule and a text
    signs: tuple[tuple[Purpose, bool], ...] = (
        ("cache_ping", body.get("max_tokens") == 1),
        ("summary", short and "summarize" in rules.lower() and "conversation" in rules.lower()),
        ("commit", short and ("# Diffs:" in said or "commit message" in rules.lower())),
        ("architect", "architect engineer" in rules),
        ("context", "code analyst" in rules and "need to be modified" in rules),
        ("ask", "code analyst" in rules),
        ("code", "expert software developer" in rules or _names_a_format(rules)),
    )
    return next((purpose for purpose, holds in signs if holds), "chat")


def _names_a_format(rules: str) -> bool:
    return any(sign in rules for sign in ("SEARCH/REPLACE block", "unified diff", "*file listing*"))


def _edit_format(rules: str) -> EditFormat:
    if "SEARCH/REPLACE" in rules:
        # In diff-fenced the path stands inside the fence, so the rules name the fence first.
        return "diff-fenced" if re.search(r"\b1\. The opening fence", rules) else "diff"
    if "unified diff" in rules:
        return "udiff"
    return "whole" if "file listing" in rules else "diff"
