"""OpenAI's chat completions."""

from __future__ import annotations

from operator import attrgetter

import msgspec

from edge_gateway import chat_request
from edge_gateway.event_stream import Piece, Said, Usage
from edge_gateway.forms.choices import Chunk, Ending, answer_of, event_of
from edge_gateway.forms.form import Form
from edge_gateway.forms.reading import NOTHING, UNREADABLE


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


class _Choice(Ending):
    # Unread: what a provider puts here in its own way must not hide that the answer is complete.
    index: msgspec.Raw = msgspec.Raw()
    delta: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()


_chunk = msgspec.json.Decoder(Chunk[_Choice])
_message = msgspec.json.Decoder(_Message)
_BESIDE_TEXT = attrgetter(*_Message.__struct_fields__[1:])
# Of several answers Aider and most others read the first.
_FIRST = (b"", b"0", b"null")


def read_event(data: bytes) -> Piece | None:
    """What one chunk says; None for what is not ours to judge: an extension, or several lines of one event."""
    if data == b"[DONE]":
        return Piece(closing=True)
    try:
        chunk = _chunk.decode(data)
    except UNREADABLE:
        return None
    return event_of(chunk, _said_in_piece)


def read_plain(body: bytes) -> tuple[Usage, Said] | None:
    """The usage and what is said in a plain (unstreamed) completion; None when the bytes are none at all."""
    try:
        chunk = _chunk.decode(body)
    except UNREADABLE:
        return None
    return answer_of(chunk, _said_in_message)


def _said_in_piece(choice: _Choice) -> Said:
    return _said(choice, choice.delta)


def _said_in_message(choice: _Choice) -> Said:
    return _said(choice, choice.message)


def _said(choice: _Choice, message: msgspec.Raw) -> Said:
    """What one message, or a piece of one, says; what cannot be read says something, but nothing known."""
    if bytes(message) in NOTHING:
        return Said()
    try:
        found = _message.decode(message)
    except UNREADABLE:
        return Said(anything=True)
    text = (found.content or "") if bytes(choice.index) in _FIRST else ""
    return Said(text, bool(found.content) or any(bytes(held) not in NOTHING for held in _BESIDE_TEXT(found)))


CHAT = Form("chat", "/chat/completions", True, chat_request.parse, read_event, read_plain)
