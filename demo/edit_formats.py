"""Writes changed files in the edit format that Aider asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from demo.chat_files import closing_fence
from demo.conversation import EditFormat
from demo.edits import Change


@dataclass(frozen=True)
class Hunk:
    """Lines to find, which stand at one place alone, and the lines to put there."""

    search: tuple[str, ...]
    replace: tuple[str, ...]


def write_changes(changes: Iterable[Change], edit_format: EditFormat, fence: str) -> str:
    """All changes as the body of a reply."""
    if edit_format == "whole":
        return "\n".join(_block(change.path, fence, _lined(change.after)) for change in changes)
    if edit_format == "udiff":
        return "\n".join(_unified(change) for change in changes)
    fenced = edit_format == "diff-fenced"
    return "\n".join(
        _search_replace(change.path, hunk, fence, fenced) for change in changes for hunk in hunks_of(change)
    )


def hunks_of(change: Change) -> Iterator[Hunk]:
    """The change as hunks to apply one after the other, each finding its place in what the last one left."""
    if not change.before:
        yield Hunk((), tuple(_lined(change.after).splitlines(keepends=True)))
        return
    current = _lined(change.before).splitlines(keepends=True)
    target = _lined(change.after).splitlines(keepends=True)
    for start, stop, replacement in _changed_runs(current, target):
        low, high = _until_unique(current, start, stop)
        yield Hunk(tuple(current[low:high]), (*current[low:start], *replacement, *current[stop:high]))
        # A run changes no line count unless it is the only one, so later runs stay where they are.
        current[start:stop] = replacement


def _changed_runs(before: list[str], after: list[str]) -> Iterator[tuple[int, int, list[str]]]:
    """Runs of lines that differ: where they start and stop before, and what they become."""
    if len(before) != len(after):
        shorter = min(len(before), len(after))
        head = next((i for i in range(shorter) if before[i] != after[i]), shorter)
        rest = shorter - head
        tail = next((i for i in range(rest) if before[-1 - i] != after[-1 - i]), rest)
        yield head, len(before) - tail, after[head : len(after) - tail]
        return
    start = 0
    while start < len(before):
        stop = start
        while stop < len(before) and before[stop] != after[stop]:
            stop += 1
        if stop > start:
            yield start, stop, after[start:stop]
        start = stop + 1


def _until_unique(lines: list[str], low: int, high: int) -> tuple[int, int]:
    """The run with as much around it as makes its text stand in the file once."""
    whole = "".join(lines)
    while low > 0 or high < len(lines):
        text = "".join(lines[low:high])
        # Text, not lines: Aider's udiff would find "b = 1" inside "bb = 1". Blank text it would append.
        if text.strip() and whole.find(text) == whole.rfind(text):
            break
        low, high = max(low - 1, 0), min(high + 1, len(lines))
    return low, high


def _search_replace(path: str, hunk: Hunk, fence: str, path_inside: bool) -> str:
    body = "".join(("<<<<<<< SEARCH\n", *hunk.search, "=======\n", *hunk.replace, ">>>>>>> REPLACE\n"))
    return f"{fence}\n{path}\n{body}{closing_fence(fence)}\n" if path_inside else _block(path, fence, body)


def _unified(change: Change) -> str:
    old = "/dev/null" if change.before is None else change.path
    lines = ["```diff\n", f"--- {old}\n", f"+++ {change.path}\n"]
    for hunk in hunks_of(change):
        removed, added = (f"-{line}" for line in hunk.search), (f"+{line}" for line in hunk.replace)
        lines += ["@@ ... @@\n", *removed, *added]
    return "".join([*lines, "```\n"])


def _block(path: str, fence: str, body: str) -> str:
    return f"{path}\n{fence}\n{body}{closing_fence(fence)}\n"


def _lined(text: str) -> str:
    """The text with a final newline, which Aider adds before it compares."""
    return text if not text or text.endswith("\n") else text + "\n"
