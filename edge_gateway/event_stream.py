"""Watches a stream of server-sent events for its end and its usage, and changes nothing.

Bytes go on as they came, up to the last complete event: an incomplete one waits for its rest, so that a broken stream can
be told honestly instead of ending in half an event.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec

# An event larger than this is no answer of a model.
MAX_EVENT_BYTES = 4 * 1024 * 1024
# A reply longer than this is not kept any further; it is relayed all the same.
MAX_CHARACTERS = 4 * 1024 * 1024
# Answers of which it is remembered why they ended: some providers say so again with each piece.
MOST_REASONS = 32
_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE = re.compile(rb"\r\n|\n|\r")


class Usage(msgspec.Struct, frozen=True):
    """Tokens as the provider counted them, or as they were estimated from the length of the texts."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    estimated: bool = False

    def __or__(self, later: Usage) -> Usage:
        """Both counts together: what the later one says counts, what it leaves out stays."""
        return Usage(
            later.input_tokens or self.input_tokens,
            later.output_tokens or self.output_tokens,
            later.cached_input_tokens or self.cached_input_tokens,
        )


class Said(NamedTuple):
    """What a reply said: its text, whether it held anything at all, such as the call of a tool, and why it ended, if known."""

    text: str = ""
    anything: bool = False
    reasons: tuple[str, ...] = ()


class Piece(NamedTuple):
    """What one event of a stream says: more of the reply, its end, the provider's error in its own form, its count.

    `finished`: how many of the answers asked for end here. `last`: all of them have, and no event follows. `closing`: no event
    follows, which says of no answer that it has ended.
    """

    said: Said = Said()
    finished: int = 0
    error: bytes = b""
    usage: Usage | None = None
    last: bool = False
    closing: bool = False


class EventTooLarge(Exception):
    """An event passed MAX_EVENT_BYTES without an end."""


class StreamObserver:
    """Feeds on a stream's chunks, gives back the bytes to relay, and remembers what it saw."""

    def __init__(self, read: Callable[[bytes], Piece | None], answers: int = 1) -> None:
        """`read`: what the data of one event says in the stream's form; None where that cannot be read.

        `answers`: how many are asked for.
        """
        self.finished = False
        # The event has come after which none follows.
        self.over = False
        # It has come although no answer had ended: clients would take it for the end of a whole one.
        self.cut_short = False
        self._open = self._asked = answers
        # What the provider itself says went wrong, in its form.
        self.error = b""
        self.usage = Usage()
        # How many have come that carry anything; comments do not.
        self.events = 0
        self._read = read
        self._pieces: list[str] = []
        self._characters = 0
        self._anything = False
        self._reasons: tuple[str, ...] = ()
        self._held: list[bytes] = []
        self._size = 0

    @property
    def failed(self) -> bool:
        """Whether the provider itself said that it failed."""
        return bool(self.error)

    @property
    def begun(self) -> bool:
        """Whether the model has begun to answer, or ended without a word."""
        return self._anything or self.finished

    @property
    def complete(self) -> bool:
        """Whether the model finished its answer, or the provider itself said that it failed."""
        return self.finished or self.failed

    @property
    def said(self) -> Said:
        """What the reply has said so far."""
        return Said("".join(self._pieces), self._anything, self._reasons)

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes as they came; give back those to relay now. EventTooLarge when no event ends."""
        self._held.append(chunk)
        self._size += len(chunk)
        if b"\n" not in chunk and b"\r" not in chunk:
            # No event can end here; joining only where one can keeps small pieces of a large event cheap.
            self._check_size()
            return b""
        held = chunk if self._size == len(chunk) else b"".join(self._held)
        end = self._look(held)
        self._held, self._size = [held[end:]], len(held) - end
        self._check_size()
        return held[:end]

    def rest(self) -> bytes:
        """What is held back when the stream ends: relayed after a complete answer, dropped with a broken one."""
        held = b"".join(self._held)
        # Whoever asks again has had it.
        self._held, self._size = [], 0
        # What follows where a stream was cut short is not read: it would depend on how much of it came along.
        if held and not self.cut_short:
            self._see(held)
        return held if self.complete else b""

    def _check_size(self) -> None:
        if self._size > MAX_EVENT_BYTES:
            raise EventTooLarge

    def _look(self, held: bytes) -> int:
        """Look at the complete events; where the last of them ends that is to be relayed."""
        end = 0
        if b"\r" not in held:
            # As nearly all write them, and much quicker to find.
            for event in held.split(b"\n\n")[:-1]:
                self._see(event)
                if self.cut_short:
                    break
                end += len(event) + len(b"\n\n")
            return end
        for boundary in _BOUNDARY.finditer(held):
            self._see(held[end : boundary.start()])
            if self.cut_short:
                break
            end = boundary.end()
        return end

    def _see(self, event: bytes) -> None:
        for line in _LINE.split(event) if b"\r" in event else event.split(b"\n"):
            if line.startswith(b"data:"):
                self.events += 1
                if (piece := self._read(line[5:].strip())) is not None:
                    self._note(piece)

    def _note(self, piece: Piece) -> None:
        self._open -= piece.finished
        self.error = self.error or piece.error
        self.over = self.over or piece.last or piece.closing
        # Who is asked for several answers may give fewer.
        some_ended = self._open < self._asked
        self.finished = self.finished or piece.last or self._open <= 0 or (piece.closing and some_ended)
        self.cut_short = self.over and not self.complete
        self._anything = self._anything or piece.said.anything
        if piece.said.reasons and len(self._reasons) < MOST_REASONS:
            self._reasons += piece.said.reasons
        if piece.said.text and self._characters < MAX_CHARACTERS:
            self._pieces.append(piece.said.text)
            self._characters += len(piece.said.text)
        if piece.usage is not None:
            self.usage |= piece.usage
