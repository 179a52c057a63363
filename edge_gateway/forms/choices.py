"""What chat completions and legacy ones have in common: answers are choices, each with its end, and a count beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from edge_gateway.event_stream import Piece, Said, Usage
from edge_gateway.forms.reading import UNREADABLE, count, error_of


class Ending(msgspec.Struct):
    """One choice, or a piece of one."""

    finish_reason: str | None = None


Choice = TypeVar("Choice", bound=Ending)


class Chunk(msgspec.Struct, Generic[Choice]):
    """One answer, or a piece of one."""

    choices: list[Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


# How most chunks tell no usage.
_NONE = (b"", b"null")
_usage = msgspec.json.Decoder(_Usage)


def event_of(chunk: Chunk[Choice], said: Callable[[Choice], Said]) -> Piece:
    """What one chunk of a stream says; `said`: what one of its choices does."""
    text, anything, finished = "", False, 0
    reasons: tuple[str, ...] = ()
    for choice in chunk.choices or ():
        if choice.finish_reason:
            finished += 1
            reasons += (choice.finish_reason,)
        one = said(choice)
        text += one.text
        anything = anything or one.anything
    return Piece(Said(text, anything, reasons), finished, error_of(chunk.error), _read_usage(chunk.usage))


def answer_of(chunk: Chunk[Choice], said: Callable[[Choice], Said]) -> tuple[Usage, Said] | None:
    """The usage and the words of a plain answer, the first text of several; None when it is none."""
    if chunk.choices is None:
        return None
    each = [said(choice) for choice in chunk.choices]
    anything = any(one.anything for one in each)
    if error_of(chunk.error) and not anything:
        return None
    text = next((one.text for one in each if one.text), "")
    reasons = tuple([choice.finish_reason for choice in chunk.choices if choice.finish_reason])
    return _read_usage(chunk.usage) or Usage(), Said(text, anything, reasons)


def read_usage(raw: msgspec.Raw) -> Usage:
    """The provider's count in our words, what it left out as 0."""
    return _read_usage(raw) or Usage()


def _read_usage(raw: msgspec.Raw) -> Usage | None:
    if bytes(raw) in _NONE:
        return None
    try:
        usage = _usage.decode(raw)
    except UNREADABLE:
        return None
    details = usage.prompt_tokens_details
    return Usage(
        input_tokens=count(usage.prompt_tokens),
        output_tokens=count(usage.completion_tokens),
        cached_input_tokens=count(details.cached_tokens) if details else 0,
    )
