"""Which files a reply's edits change: by the commit that holds them, else by the names in the reply."""

from __future__ import annotations

import re
from collections.abc import Collection

from edge_gateway.conversations.request import Request

DIFFS = "# Diffs:\n"
# Nobody edits more at once.
MOST_FILES = 2_000
_DIFF, _DIFF_MIDDLE = "diff --git a/", " b/"
_FENCE = "```"
_BLOCK = "<<<<<<< SEARCH"
# A line that says by itself that a file is changed.
_MARKED = re.compile(r"(?:--- |\+\+\+ |\*\*\* (?:Update|Add|Delete) File: )((?:[ab]/)?(.+))")
_NAME = re.compile(r"[^\s/][^\s]{0,1023}")
_AROUND_NAME = " \t`*#:"


def committed_files(request: Request) -> tuple[str, ...]:
    """The files whose changes a commit request shows; of a renamed one neither name."""
    text, found = request.asked, dict[str, None]()
    position = text.rfind(DIFFS)
    mark = "\n" + _DIFF
    while len(found) < MOST_FILES and (position := text.find(mark, position + 1)) >= 0:
        end = text.find("\n", position + len(mark))
        names = text[position + len(mark) : end if end >= 0 else len(text)].rstrip("\r")
        name = names[: (len(names) - len(_DIFF_MIDDLE)) // 2]
        if names == name + _DIFF_MIDDLE + name:
            found[name] = None
    return tuple(found)


def edited_files(reply: str, files: Collection[str]) -> tuple[tuple[str, ...], bool]:
    """Those of the files that a reply names as Aider's edit formats do, and whether it names no others that way.

    Where a name stands, the edit or a fence follows at once; but a fence may hold a mere quotation.
    """
    found: set[str] = set()
    others = inside = False
    lines = reply.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        fence, opens = line.lstrip().startswith(_FENCE), not inside and following.lstrip().startswith(_FENCE)
        if marked := _MARKED.match(line):
            names = {marked[1].strip(), marked[2].strip()}
        elif not fence and (opens or following.lstrip().startswith(_BLOCK)):
            names = {line.strip(_AROUND_NAME)}
        else:
            names = set()
        found |= names.intersection(files)
        others = others or (names.isdisjoint(files) and any(_NAME.fullmatch(name) for name in names))
        if fence:
            inside = not inside
    return tuple(name for name in files if name in found), not others
