"""Finds the files in the chat, each with a digest of its contents, and the map of the repository."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edge_gateway.aider import messages
from edge_gateway.aider.messages import Block
from edge_gateway.aider.understanding import ChatFile
from edge_gateway.chat_request import Turn

_MASK = 2**64 - 1
# Nobody edits more files at once; a text that holds more fences than this was made to be slow.
_MOST_FILES = 2_000
_MOST_FENCES = 4_000
_LONGEST_NAME = 1_024
_INTRODUCTION = 4_000
_TAIL = 1_000
# Messages among which the map is looked for, from the first, and the files, from the last.
_FIRST, _LATEST = 200, 1_000
_OPENING = re.compile(r"^([^\n]{1,1024})\n(`{3,10}|<(?:source|code|pre|codeblock|sourcecode)>)\n", re.MULTILINE)


def shown(turns: Sequence[Turn]) -> tuple[tuple[ChatFile, ...], int, int]:
    """The files in the chat, the length of the message with the repository's map in characters, and where the files stand.

    The last is -1 where there are none.
    """
    files: tuple[ChatFile, ...] | None = None
    map_characters, at = 0, -1
    # The map stands before the history and the files behind it; what lies between may be long.
    latest = max(-1, len(turns) - 2 - _LATEST)
    for position in (*range(len(turns) - 2, latest, -1), *range(min(latest, _FIRST), -1, -1)):
        turn, answer = turns[position], turns[position + 1]
        if turn.role != "user" or answer.role != "assistant":
            continue
        found = messages.acknowledged(turn.text, answer.text)
        if found is Block.FILES and files is None:
            files = tuple(ChatFile(name, _digest(text), len(text)) for name, text in split(turn.text))
            at = position
        elif found is Block.REPO_MAP and not map_characters:
            map_characters = len(turn.text)
        if files is not None and map_characters:
            break
    return files or (), map_characters, at


def split(text: str) -> list[tuple[str, str]]:
    """The names and contents in Aider's message of files: a name on a line, then its contents between two fences.

    Aider chooses a fence that begins no line of any of the files. A file that does not end with a line break has the
    closing fence on its last line.
    """
    opening = _OPENING.search(text, 0, _INTRODUCTION)
    if opening is None:
        return []
    opener = opening[2]
    closer = opener if opener[0] == "`" else f"</{opener[1:]}"
    starts = _headings(text, opener, closer, opening)
    ends = [begins - len(closer) - 2 for _, begins, _ in starts[1:]]
    end = _end(text)
    ends.append(end - len(closer) if text.endswith(closer, 0, end) else end)
    return [(name, text[start : max(start, end)]) for (name, _, start), end in zip(starts, ends, strict=True)]


def _end(text: str) -> int:
    """Where a text ends, line breaks at its end left out."""
    # All of it is not copied unless it has to be.
    tail = text[-_TAIL:].rstrip("\n")
    return len(text) - len(text[-_TAIL:]) + len(tail) if tail else len(text.rstrip("\n"))


def _headings(text: str, opener: str, closer: str, first: re.Match[str]) -> list[tuple[str, int, int]]:
    """Of each file its name, where that stands, and where its contents begin."""
    found = [(first[1].strip(), first.start(), first.end())]
    between, fence = f"{closer}\n\n", f"\n{opener}\n"
    position = first.end()
    for _ in range(_MOST_FENCES):
        position = text.find(between, position)
        if position < 0 or len(found) == _MOST_FILES:
            break
        position += len(between)
        end = text.find("\n", position, position + _LONGEST_NAME)
        if end > position and text.startswith(fence, end):
            found.append((text[position:end].strip(), position, end + len(fence)))
            position = end + len(fence)
    return found


def _digest(text: str) -> bytes:
    # Python's own hash, with a key of this process's, takes a third of the time that any digest of a library does.
    return (hash(text) & _MASK).to_bytes(8) + len(text).to_bytes(8)
