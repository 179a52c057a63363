"""Watches a stream of server-sent events for its end and its usage, and changes nothing.

Bytes go on as they came, up to the last complete event: an incomplete one waits for its rest, so that a broken stream can
be told honestly instead of ending in half an event.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

import msgspec

# An event larger than this is no answer of a model.
MAX_EVENT_BYTES = 4 * 1024 * 1024
# A reply with more pieces than this is not read any further; it is relayed all the same.
MAX_PIECES = 1_000_000
_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them, or as they were estimated from the length of the texts."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    estimated: bool = False


class Said(NamedTuple):
    """What a reply said: its text, and whether it held anything at all, such as the call of a tool."""

    text: str = ""
    anything: bool = False


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Message(msgspec.Struct):
    """One message, or a piece of one: its text, and what else may be said."""

    content: str | None = None
    refusal: msgspec.Raw = msgspec.Raw()
    tool_calls: msgspec.Raw = msgspec.Raw()
    function_call: msgspec.Raw = msgspec.Raw()
    audio: msgspec.Raw = msgspec.Raw()
    images: msgspec.Raw = msgspec.Raw()
    reasoning: msgspec.Raw = msgspec.Raw()
    reasoning_content: msgspec.Raw = msgspec.Raw()
    reasoning_details: msgspec.Raw = msgspec.Raw()
    thinking_blocks: msgspec.Raw = msgspec.Raw()


class _Choice(msgspec.Struct):
    # Unread: what a provider puts here in its own way must not hide that the answer is complete.
    index: msgspec.Raw = msgspec.Raw()
    delta: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_chunk = msgspec.json.Decoder(_Chunk)
_usage = msgspec.json.Decoder(_Usage)
_message = msgspec.json.Decoder(_Message)
_BESIDE_TEXT = attrgetter(*_Message.__struct_fields__[1:])
# A provider's bytes may be no UTF-8, hold numbers beyond Python's, or be nested without end.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
# What some providers send where others leave the error out.
_NO_ERROR = (b"", b"null", b"{}", b'""', b"false")
# Of several answers Aider and most others read the first.
_FIRST = (b"", b"0", b"null")
_NOTHING = (b"", b"null", b'""', b"[]", b"{}", b"false")
# What the contract's counters hold.
_MOST_TOKENS = 2**32 - 1


class EventTooLarge(Exception):
    """An event passed MAX_EVENT_BYTES without an end."""


class StreamObserver:
    """Feeds on a stream's chunks, gives back the bytes to relay, and remembers what it saw."""

    def __init__(self) -> None:
        self.finish_reason = ""
        self.done = False
        self.failed = False
        self.usage = Usage()
        self._pieces: list[str] = []
        self._anything = False
        self._held: list[bytes] = []
        self._size = 0

    @property
    def finished(self) -> bool:
        """Whether the model finished its answer."""
        return self.done or bool(self.finish_reason)

    @property
    def complete(self) -> bool:
        """Whether the model finished its answer, or the provider itself said that it failed."""
        return self.finished or self.failed

    @property
    def said(self) -> Said:
        """What the reply has said so far."""
        return Said("".join(self._pieces), self._anything)

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes as they came; give back those to relay now. EventTooLarge when no event ends."""
        self._held.append(chunk)
        self._size += len(chunk)
        if b"\n" not in chunk and b"\r" not in chunk:
            # No event can end here; joining only where one can keeps small pieces of a large event cheap.
            self._check_size()
            return b""
        held = b"".join(self._held)
        end = 0
        for boundary in _BOUNDARY.finditer(held):
            self._see(held[end : boundary.start()])
            end = boundary.end()
        self._held, self._size = [held[end:]], len(held) - end
        self._check_size()
        return held[:end]

    def rest(self) -> bytes:
        """What is held back when the stream ends: relayed after a complete answer, dropped with a broken one."""
        held = b"".join(self._held)
        if held:
            self._see(held)
        return held if self.complete else b""

    def _check_size(self) -> None:
        if self._size > MAX_EVENT_BYTES:
            raise EventTooLarge

    def _see(self, event: bytes) -> None:
        for line in _LINE.split(event):
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                self.done = True
                continue
            try:
                chunk = _chunk.decode(data)
            except _UNREADABLE:
                # Not ours to judge: an extension, or several lines of one event; it is relayed all the same.
                continue
            self._note(chunk)

    def _note(self, chunk: _Chunk) -> None:
        if bytes(chunk.error) not in _NO_ERROR:
            self.failed = True
        for choice in chunk.choices or ():
            if choice.finish_reason:
                self.finish_reason = choice.finish_reason
            if len(self._pieces) < MAX_PIECES:
                said = _said(choice, choice.delta)
                self._anything = self._anything or said.anything
                if said.text:
                    self._pieces.append(said.text)
        if usage := _read_usage(chunk.usage):
            self.usage = usage


def read_plain(body: bytes) -> tuple[Usage, Said] | None:
    """The usage and what is said in a plain (unstreamed) completion; None when the bytes are none at all."""
    try:
        chunk = _chunk.decode(body)
    except _UNREADABLE:
        return None
    if chunk.choices is None:
        return None
    said = [_said(choice, choice.message) for choice in chunk.choices]
    text = next((one.text for one in said if one.text), "")
    return _read_usage(chunk.usage) or Usage(), Said(text, any(one.anything for one in said))


def _said(choice: _Choice, message: msgspec.Raw) -> Said:
    """What one message, or a piece of one, says; what cannot be read says something, but nothing known."""
    if bytes(message) in _NOTHING:
        return Said()
    try:
        found = _message.decode(message)
    except _UNREADABLE:
        return Said(anything=True)
    text = (found.content or "") if bytes(choice.index) in _FIRST else ""
    return Said(text, bool(found.content) or any(bytes(held) not in _NOTHING for held in _BESIDE_TEXT(found)))


def _read_usage(raw: msgspec.Raw) -> Usage | None:
    """The provider's count in our words, what it left out as 0; None when it gave none that can be read."""
    try:
        usage = _usage.decode(raw)
    except _UNREADABLE:
        return None
    details = usage.prompt_tokens_details
    return Usage(
        input_tokens=_count(usage.prompt_tokens),
        output_tokens=_count(usage.completion_tokens),
        cached_input_tokens=_count(details.cached_tokens) if details else 0,
    )


def _count(tokens: int | None) -> int:
    return min(max(tokens or 0, 0), _MOST_TOKENS)
