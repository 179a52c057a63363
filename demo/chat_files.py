"""Reads the files that Aider shows in a chat, exactly as they are."""

import re
from collections.abc import Iterable

# Aider picks the first of its fences that no file contains, so any of these may open a file.
_FENCE = r"`{3,}|<(?:source|code|pre|codeblock|sourcecode)>"
_OPENING = re.compile(rf"^(?P<path>\S[^\n]*)\n(?P<fence>{_FENCE})\n", re.MULTILINE)
# With a colon it is the note that more files were added, which shows none.
_SHOWN = re.compile(r"added these files to the chat(?!:)")
_RULES_FENCE = re.compile(rf"(?:opening|eg:) (?P<fence>{_FENCE})")

PLAIN_FENCE = "```"


def closing_fence(fence: str) -> str:
    """What ends a block that `fence` opened."""
    return fence if fence.startswith("`") else fence.replace("<", "</")


def fence_of(rules: str) -> str:
    """The fence that the format rules ask for."""
    found = _RULES_FENCE.search(rules)
    return found["fence"] if found else PLAIN_FENCE


def files_in(user_texts: Iterable[str]) -> dict[str, str]:
    """Path to content of every editable file in the chat, the latest copy of each."""
    files: dict[str, str] = {}
    for text in user_texts:
        if shows_files(text):
            files.update(_parse(text))
    return files


def shows_files(text: str) -> bool:
    """Whether a message is the one in which Aider shows the files that may be edited."""
    return _SHOWN.search(text) is not None


def _parse(text: str) -> dict[str, str]:
    files = {}
    opening = _OPENING.search(text)
    while opening:
        start = opening.end()
        stop, after = _end_of_file(text, start, opening["fence"])
        files[opening["path"].strip()] = text[start:stop]
        opening = _OPENING.search(text, after)
    return files


def _end_of_file(text: str, start: int, fence: str) -> tuple[int, int]:
    """Where a file's content stops, and where its closing fence does."""
    close = re.escape(closing_fence(fence))
    # The fence stands right after the last line of a file without a final newline, so it is known by
    # what follows: the next file, or the end of the message.
    ending = re.compile(rf"{close}\n*(?=\Z|\n[^\n]+\n{re.escape(fence)}\n)")
    found = ending.search(text, start)
    return (found.start(), found.end()) if found else (len(text), len(text))
