"""Watches a stream of server-sent events for its end and its usage, and changes nothing.

Bytes go on as they came, up to the last complete event: an incomplete one waits for its rest, so that a broken stream can
be told honestly instead of ending in half an event.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

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


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Choice(msgspec.Struct):
    # Loosely typed: what a provider puts here in its own way must not hide that the answer is complete.
    index: Any = 0
    delta: Any = None
    message: Any = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_chunk = msgspec.json.Decoder(_Chunk)
_usage = msgspec.json.Decoder(_Usage)
# What some providers send where others leave the error out.
_NO_ERROR = (b"", b"null", b"{}", b'""', b"false")
# Of several answers Aider and most others read the first.
_FIRST = (0, None)
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
    def text(self) -> str:
        """The reply's text as far as it has come."""
        return "".join(self._pieces)

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
            except msgspec.DecodeError:
                # Not ours to judge: an extension, or several lines of one event; it is relayed all the same.
                continue
            self._note(chunk)

    def _note(self, chunk: _Chunk) -> None:
        if bytes(chunk.error) not in _NO_ERROR:
            self.failed = True
        for choice in chunk.choices or ():
            if choice.finish_reason:
                self.finish_reason = choice.finish_reason
            piece = _content(choice.delta) if choice.index in _FIRST else ""
            if piece and len(self._pieces) < MAX_PIECES:
                self._pieces.append(piece)
        if usage := _read_usage(chunk.usage):
            self.usage = usage


def usage_of(body: bytes) -> Usage | None:
    """The usage in a plain (unstreamed) completion; None when the bytes are no completion at all."""
    found = read_plain(body)
    return found[0] if found else None


def read_plain(body: bytes) -> tuple[Usage, str] | None:
    """The usage and the text of a plain (unstreamed) completion; None when the bytes are none at all."""
    try:
        chunk = _chunk.decode(body)
    except msgspec.DecodeError:
        return None
    if chunk.choices is None:
        return None
    text = next((_content(choice.message) for choice in chunk.choices if choice.index in _FIRST), "")
    return _read_usage(chunk.usage) or Usage(), text


def _content(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""


def _read_usage(raw: msgspec.Raw) -> Usage | None:
    """The provider's count in our words, what it left out as 0; None when it gave none that can be read."""
    try:
        usage = _usage.decode(raw)
    except msgspec.DecodeError:
        return None
    details = usage.prompt_tokens_details
    return Usage(
        input_tokens=_count(usage.prompt_tokens),
        output_tokens=_count(usage.completion_tokens),
        cached_input_tokens=_count(details.cached_tokens) if details else 0,
    )


def _count(tokens: int | None) -> int:
    return min(max(tokens or 0, 0), _MOST_TOKENS)
