"""What stands of earlier replies in a request: in its history, in a commit's context, in what is to be summarised."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from edge_gateway.conversations.request import Request, Turn

# How far back a history is looked at: the latest replies decide.
MOST = 16
# What Aider itself says in the assistant's name.
_AIDERS_OWN = re.compile(
    r"Ok\.?\Z|Ok, (any changes I propose|I won't try and edit|I will use th|based on your requests|I read)|"
    r"FinishReasonLength exception"
)
_INTERRUPTED = "I see that you interrupted my previous reply"
_STOPPED = re.compile(r"\n?\^C KeyboardInterrupt\s*\Z")
_SUMMARY = "I spoke to you previously about a number of things."
_COMMITTED = re.compile(r"\s*I committed the changes with git hash")
_CONTEXT_MARK = re.compile(r"^(USER|ASSISTANT): ", re.M)
_SUMMARY_MARK = re.compile(r"^# (USER|ASSISTANT)\n", re.M)
_DIFFS = "# Diffs:\n"
_DIFF, _DIFF_MIDDLE = "diff --git a/", " b/"
_FILE_LINE = re.compile(r"(?:--- |\+\+\+ |(?:Update|Add|Delete) File: )?((?:[ab]/)?(.+))")


@dataclass(frozen=True, slots=True)
class Trace:
    """An earlier reply as a request shows it.

    `asked`: what the user had said before it, empty when that is not shown. `reply`: the reply, empty when there was none.
    `cut`: the user stopped it, so this may be its beginning only. `by`: the purpose it was given for, where that is known.
    `committed`: git holds its edits. `begun`: it is what this request wants continued. `aside`: it is not the latest reply.
    """

    asked: str
    reply: str
    cut: bool = False
    by: str = ""
    committed: bool = False
    begun: bool = False
    aside: bool = False


def traces(request: Request) -> list[Trace]:
    """The earlier replies that a request shows, latest first."""
    if request.purpose == "commit":
        return _marked(request.asked.partition(_DIFFS)[0], _CONTEXT_MARK)
    if request.purpose == "summary":
        return _marked(request.asked, _SUMMARY_MARK)
    found = list(islice(_history(request.turns), MOST))
    if request.purpose == "editor" and request.user_text:
        # Aider hands the architect's reply to the editor as the user's words.
        found.append(Trace("", request.user_text.strip(), by="architect", aside=True))
    return found


def committed_files(request: Request) -> tuple[str, ...]:
    """The files whose changes a commit request shows; of a renamed one neither name."""
    found: dict[str, None] = {}
    for line in request.asked.rpartition(_DIFFS)[2].splitlines():
        if line.startswith(_DIFF):
            names = line.removeprefix(_DIFF)
            name = names[: (len(names) - len(_DIFF_MIDDLE)) // 2]
            if names == name + _DIFF_MIDDLE + name:
                found[name] = None
    return tuple(found)


def named_files(reply: str, files: Sequence[str]) -> tuple[str, ...]:
    """Those of the files that a reply names on a line of their own, as all of Aider's edit formats do."""
    found: set[str] = set()
    for line in reply.splitlines():
        if match := _FILE_LINE.fullmatch(line.strip(" `*#:")):
            found.update(match.groups())
    return tuple(name for name in files if name in found)


def _history(turns: Sequence[Turn]) -> Iterator[Trace]:
    asked_at = _users_before(turns)
    last = len(turns) - 1
    position = last
    while position > 0:
        turn, before = turns[position], asked_at[position]
        text = turn.text.strip()
        if turn.role == "user" and text.startswith(_SUMMARY):
            yield _summarised(text)
        elif turn.role == "user" and position < last and turns[position + 1].role == "user":
            yield Trace(text, "")
        elif turn.role != "assistant" or before < 0 or _AIDERS_OWN.match(text):
            pass
        elif text.startswith(_INTERRUPTED):
            position, trace = _stopped(turns, before, asked_at[before])
            yield trace
        else:
            committed = position < last and _COMMITTED.match(turns[position + 1].text) is not None
            yield Trace(turns[before].text.strip(), text, committed=committed, begun=position == last)
        position -= 1


def _stopped(turns: Sequence[Turn], position: int, before: int) -> tuple[int, Trace]:
    """The reply that the user stopped, told by the user's turn there, and where it begins; `before`: the turn it answers."""
    asked = _STOPPED.sub("", turns[position].text).strip()
    if asked or before < 0:
        return position, Trace(asked, "", cut=True)
    partial = turns[position - 1].text if turns[position - 1].role == "assistant" else ""
    return before, Trace(turns[before].text.strip(), partial.strip(), cut=True)


def _users_before(turns: Sequence[Turn]) -> list[int]:
    """For each turn the position of the latest turn of the user's before it, -1 where there is none."""
    found, latest = [], -1
    for position, turn in enumerate(turns):
        found.append(latest)
        if turn.role == "user":
            latest = position
    return found


def _summarised(text: str) -> Trace:
    return Trace("", text.removeprefix(_SUMMARY).strip(), by="summary", aside=True)


def _user_before(turns: Sequence[Turn], position: int) -> int:
    return next((index for index in range(position - 1, -1, -1) if turns[index].role == "user"), -1)


def _marked(text: str, mark: re.Pattern[str]) -> list[Trace]:
    """The replies in a text that marks who spoke, latest first."""
    found: list[Trace] = []
    pieces = mark.split(text)
    asked = ""
    for speaker, words in zip(pieces[1::2], pieces[2::2], strict=True):
        if speaker == "USER":
            asked = words.strip()
            if asked.startswith(_SUMMARY):
                found.append(_summarised(asked))
        elif not _AIDERS_OWN.match(words.strip()):
            found.append(Trace(asked, words.strip()))
    return found[::-1][:MOST]
