"""What stands of earlier replies in a request: in its history, in a commit's context, in what is to be summarised."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice

import msgspec

from edge_gateway.conversations.edits import DIFFS
from edge_gateway.conversations.request import Request, Turn

# How many replies of a history are looked at, and how many of its turns: the latest decide.
MOST, MOST_TURNS = 16, 256
# What Aider says in the assistant's name is short.
_GLANCE = 240
_OWN = ("Ok.", "Ok", "FinishReasonLength exception: you sent too many tokens")
# What it says so to messages of its own alone: a reply may begin with the same words.
_ACKNOWLEDGED = re.compile(
    r"Ok, (any changes I propose|I won't try and edit|I will use th|based on your requests|I read)"
)
_SHOWN = re.compile(
    r"\*added these files to the chat\*|Here is the current content of the files?:|These are some files we have been"
    r" discussing|These are the \*read-write\* files|These are files that you can edit|Here are some READ ONLY files"
    r"|summaries of (some |other )?files|I am not sharing |Don't try and edit any existing code|(Image|PDF) file: "
)
_INTERRUPTED = "I see that you interrupted my previous reply"
_STOPPED = "^C KeyboardInterrupt"
_SUMMARY = "I spoke to you previously about a number of things."
_COMMITTED = re.compile(r"\s{0,9}I committed the changes with git hash")
_CONTEXT_MARKS = ("\nUSER: ", "\nASSISTANT: ")
_SUMMARY_MARKS = ("\n# USER\n", "\n# ASSISTANT\n")


class Trace(msgspec.Struct, frozen=True):
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
        return _marked(request.asked.partition(DIFFS)[0], _CONTEXT_MARKS)
    if request.purpose == "summary":
        return _marked(request.asked, _SUMMARY_MARKS)
    found = list(islice(_history(request.turns[-MOST_TURNS:]), MOST))
    if request.purpose == "editor" and request.user_text:
        # Aider hands the architect's reply to the editor as the user's words.
        found.append(Trace("", request.user_text.strip(), by="architect", aside=True))
    return found


def _history(turns: Sequence[Turn]) -> Iterator[Trace]:
    asked_at = _users_before(turns)
    # Several replies may stand behind one question.
    said = cache(lambda position: turns[position].text.strip())
    last = len(turns) - 1
    position = last
    while position > 0:
        turn, before = turns[position], asked_at[position]
        if turn.role == "user":
            if turn.text[:_GLANCE].lstrip().startswith(_SUMMARY):
                yield _summarised(said(position))
            elif position < last and turns[position + 1].role == "user":
                yield Trace(said(position), "")
        elif turn.role == "assistant" and before >= 0 and not _is_aiders(said(position), turns[before].text):
            text = said(position)
            if text.startswith(_INTERRUPTED) and len(text) <= _GLANCE:
                position, trace = _stopped(turns, before, asked_at[before])
                yield trace
            else:
                committed = position < last and _COMMITTED.match(turns[position + 1].text) is not None
                yield Trace(said(before), text, committed=committed, begun=position == last)
        position -= 1


def _is_aiders(text: str, asked: str) -> bool:
    """Whether Aider itself says this in the model's name; `asked`: the user's turn before it."""
    if len(text) > _GLANCE:
        return False
    return text in _OWN or (_ACKNOWLEDGED.match(text) is not None and _SHOWN.search(asked[:_GLANCE]) is not None)


def _stopped(turns: Sequence[Turn], position: int, before: int) -> tuple[int, Trace]:
    """The reply that the user stopped, told by the user's turn there, and where it begins; `before`: the turn it answers."""
    asked = turns[position].text.strip().removesuffix(_STOPPED).strip()
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


def _marked(text: str, marks: tuple[str, str]) -> list[Trace]:
    """The replies in a text that marks who spoke, latest first."""
    found: list[Trace] = []
    replies: list[str] = []

    def answered(asked: str) -> list[Trace]:
        return [Trace(asked, reply) for reply in replies if not _is_aiders(reply, asked)]

    for by_user, words in islice(_pieces(f"\n{text}", marks), MOST_TURNS):
        if not by_user:
            replies.append(words)
            continue
        found += answered(words)
        if words.startswith(_SUMMARY):
            found.append(_summarised(words))
        replies = []
        if len(found) >= MOST:
            break
    return [*found, *answered("")][:MOST]


def _pieces(text: str, marks: tuple[str, str]) -> Iterator[tuple[bool, str]]:
    """Who said what, the latest first: whether the user did, and the words."""
    user, assistant = marks
    end = len(text)
    at_user, at_assistant = text.rfind(user), text.rfind(assistant)
    while (start := max(at_user, at_assistant)) >= 0:
        by_user = start == at_user
        yield by_user, text[start + len(user if by_user else assistant) : end].strip()
        end = start
        # Marks may share a line break, so the earlier one's last character is left to the later one.
        if by_user:
            at_user = text.rfind(user, 0, end + 1)
        else:
            at_assistant = text.rfind(assistant, 0, end + 1)
