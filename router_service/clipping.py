"""Cuts a conversation down to what decides which model suits it, and to what its owner lets out of the house."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from router_service.domain import Message

Privacy = Literal["full", "clipped", "features_only"]

# In characters.
LONGEST_SYSTEM = 600
LONGEST_TURN = 2_000
LONGEST_TURNS = 6_000
MOST_TURNS = 4
LONGEST_LAST_RESORT = 120
GAP = "\n[…]\n"
CODE = "[code]"

# How Aider 0.86 begins the turns that it writes in the user's name: files, repo map and bookkeeping.
WRITTEN_BY_AIDER = (
    "Here are summaries of some files present in my git repo",
    "I am working with you on code in a git repository",
    "I have *added these files to the chat*",
    "These files have been *added these files to the chat*",
    "These are some files we have been discussing",
    "Here are some READ ONLY files",
    "Here is the current content of the file",
    "I am not sharing",
    "Don't try and edit any existing code without asking me",
    "I committed the changes with git hash",
    "I updated the files.",
)
# What precedes it are Aider's examples, the same in every conversation.
END_OF_EXAMPLES = "I switched to a new code base."
# How it begins the reminder of its edit format that it appends to the last user turn.
REMINDERS = (
    "# *SEARCH/REPLACE block* Rules:",
    "# File editing rules:",
    "# V4A Diff Format Rules:",
    "To suggest changes to a file you MUST ",
)
LONGEST_ACKNOWLEDGEMENT = 200


def clip(messages: Sequence[Message], privacy: Privacy) -> tuple[Message, ...]:
    """What of the conversation may be sent on: all of it, the clipped turns, or nothing.

    Clipped keeps the head of the first system text and the last turns, without Aider's files, repo map, examples and
    format reminder, and without the code of replies; it never comes out empty if a user turn had text.
    """
    if privacy == "full":
        return tuple(messages)
    if privacy == "features_only":
        return ()
    system = next((m.text for m in messages if m.role == "system" and m.text.strip()), "")
    turns = _last(_conversation([m for m in messages if m.role in ("user", "assistant")]))
    if not any(turn.role == "user" for turn in turns):
        turns = (*_last_resort(messages), *turns[-2:])
    head = (Message("system", system[:LONGEST_SYSTEM]),) if system else ()
    return (*head, *turns)


def _conversation(turns: Sequence[Message]) -> list[Message]:
    """The turns that people and models wrote, without the code that the house must keep."""
    kept: list[Message] = []
    acknowledged = False
    for turn in turns:
        start = turn.text.lstrip()
        if turn.role == "user":
            acknowledged = start.startswith((*WRITTEN_BY_AIDER, END_OF_EXAMPLES))
            if start.startswith(END_OF_EXAMPLES):
                kept.clear()
            text = "" if acknowledged else _without_code(_without_reminder(turn.text), fences=False)
        else:
            is_acknowledgement = acknowledged and len(turn.text) <= LONGEST_ACKNOWLEDGEMENT
            acknowledged = False
            text = _without_code(turn.text, fences=True)
            if is_acknowledgement and start[:2].lower() == "ok":
                text = ""
        if text.strip():
            kept.append(Message(turn.role, text.strip()))
    return kept


def _last(turns: Sequence[Message]) -> tuple[Message, ...]:
    """The last turns, latest first to have room, each with its beginning and its end when it is long."""
    left = LONGEST_TURNS
    kept: list[Message] = []
    for turn in reversed(turns[-MOST_TURNS:]):
        text = _ends(turn.text, min(LONGEST_TURN, left))
        if not text:
            break
        kept.append(Message(turn.role, text))
        left -= len(text)
    return tuple(reversed(kept))


def _last_resort(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The first line of the last user turn with text: of a file turn that is Aider's own sentence."""
    text = next((m.text.strip() for m in reversed(messages) if m.role == "user" and m.text.strip()), "")
    line = text.split("\n", 1)[0][:LONGEST_LAST_RESORT].strip()
    return (Message("user", line),) if line else ()


def _without_reminder(text: str) -> str:
    cuts = [at for at in (text.find("\n\n" + reminder) for reminder in REMINDERS) if at >= 0]
    return text[: min(cuts)] if cuts else text


def _without_code(text: str, *, fences: bool) -> str:
    """Put CODE for SEARCH/REPLACE blocks, and for fenced blocks if asked; a block that never ends ends with the text."""
    kept: list[str] = []
    end = ""
    for line in text.split("\n"):
        bare = line.strip()
        if end:
            end = "" if bare.startswith(end) else end
        elif bare.startswith("<<<<<<< SEARCH"):
            end = ">>>>>>> REPLACE"
            kept.append(CODE)
        elif fences and bare.startswith(("```", "~~~")):
            end = bare[: len(bare) - len(bare.lstrip(bare[0]))]
            kept.append(CODE)
        else:
            kept.append(line)
    return "\n".join(kept)


def _ends(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    half = (longest - len(GAP)) // 2
    return text[:half] + GAP + text[-half:] if half > 0 else ""
