"""OpenAI's Responses: input items in, output items back, and events that name themselves."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from edge_gateway.chat_request import ChatRequest, Turn, estimate, is_image, read, tools_characters
from edge_gateway.errors import GatewayError, invalid_request
from edge_gateway.event_stream import Piece, Said, Usage
from edge_gateway.forms.form import Form
from edge_gateway.forms.reading import NOTHING, UNREADABLE, count, error_of

# The events that end a stream: the answer is whole, or as whole as its limits let it be.
_ENDS = frozenset({"response.completed", "response.incomplete"})
_FAILURES = frozenset({"response.failed", "error"})


class _Text(msgspec.Struct):
    format: Any = None


class _Body(msgspec.Struct):
    model: str
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    temperature: Any = None
    tools: list[Any] | None = None
    text: _Text | None = None
    previous_response_id: str | None = None
    conversation: Any = None


class _CachedTokens(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _CachedTokens | None = None


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None


class _Item(msgspec.Struct):
    type: str = ""
    content: list[_Part] | None = None


class _Response(msgspec.Struct):
    # Unread: an item that only its provider knows must not hide that the answer is complete.
    output: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    type: str = ""
    delta: msgspec.Raw = msgspec.Raw()
    response: _Response | None = None
    error: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()


_event = msgspec.json.Decoder(_Event)
_response = msgspec.json.Decoder(_Response)
_usage = msgspec.json.Decoder(_Usage)
_text = msgspec.json.Decoder(str)
_items = msgspec.json.Decoder(list[msgspec.Raw])
_item = msgspec.json.Decoder(_Item)


def parse(raw: bytes) -> ChatRequest:
    """What routing needs of a request; an invalid_request error names the field that is wrong."""
    body, fields = read(raw, _Body, "model and input")
    stored = bool(body.previous_response_id or body.conversation)
    if not body.input and not stored:
        raise invalid_request("input is empty; send a text or at least one item.", "input")
    items = [{"role": "user", "content": body.input}] if isinstance(body.input, str) else body.input or []
    turns = [_turn(item) for item in items]
    if body.instructions:
        turns.insert(0, Turn("system", body.instructions))
    images = sum(is_image(part) for item in items for part in _parts(item))
    wanted = body.text.format if body.text and isinstance(body.text.format, dict) else {}
    return ChatRequest(
        model=body.model,
        turns=tuple(turns),
        stream=bool(body.stream),
        input_tokens=estimate(turns, images, tools_characters(raw) if body.tools else 0),
        output_tokens=max(0, body.max_output_tokens or 0),
        images=images,
        tools=bool(body.tools),
        json=str(wanted.get("type", "")).startswith("json"),
        fields=fields,
        repeatable=body.temperature == 0,
        bound=any(item.get("encrypted_content") for item in items),
        stored=stored,
    )


def read_event(data: bytes) -> Piece | None:
    """What one event says; None where that cannot be read."""
    if data == b"[DONE]":
        return Piece(closing=True)
    try:
        event = _event.decode(data)
    except UNREADABLE:
        return None
    if event.type == "response.output_text.delta":
        return Piece(Said(_read_text(event.delta), anything=True))
    if event.type.endswith(".delta"):
        return Piece(Said(anything=True))
    answer = event.response or _Response()
    if event.type in _FAILURES:
        told = error_of(answer.error) or error_of(event.error) or (data if bytes(event.message) else b"")
        return Piece(error=told or b'"failed"', usage=_read_usage(answer.usage))
    if event.type in _ENDS:
        return Piece(Said("", bytes(answer.output) not in NOTHING), usage=_read_usage(answer.usage), last=True)
    # What stands in no event of this form, an error of the gateway between for one.
    return Piece(error=error_of(event.error))


def read_plain(body: bytes) -> tuple[Usage, Said] | None:
    """The usage and the words of a response; None when the bytes are none."""
    try:
        answer = _response.decode(body)
    except UNREADABLE:
        return None
    if bytes(answer.output) in (b"", b"null") or error_of(answer.error):
        return None
    try:
        items = _items.decode(answer.output)
    except UNREADABLE:
        return None
    return _read_usage(answer.usage) or Usage(), Said("".join(map(_text_of, items)), bool(items))


def error_event(error: GatewayError) -> bytes:
    """An error in a stream of events that name themselves."""
    told = {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}
    event = {"type": "error", "code": error.code, "message": error.message, "param": error.param, "error": told}
    return b"event: error\ndata: " + json.dumps(event).encode() + b"\n\n"


def _turn(item: dict[str, Any]) -> Turn:
    """An item as a turn: a message, the call of a tool, or what the tool gave back."""
    role = item.get("role")
    if isinstance(role, str):
        content = item.get("content")
        if isinstance(content, str):
            return Turn(role, content)
        return Turn(role, "\n".join(part["text"] for part in _parts(item) if isinstance(part.get("text"), str)))
    output = item.get("output")
    if isinstance(output, str):
        return Turn("tool", output)
    called = item.get("arguments")
    return Turn("assistant", called if isinstance(called, str) else "")


def _parts(item: dict[str, Any]) -> list[dict[str, Any]]:
    content = item.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _text_of(raw: msgspec.Raw) -> str:
    """The words of an item of an answer; none where it is no message, or in a provider's own way."""
    try:
        item = _item.decode(raw)
    except UNREADABLE:
        return ""
    return "".join(part.text or "" for part in item.content or () if part.type == "output_text")


def _read_text(raw: msgspec.Raw) -> str:
    try:
        return _text.decode(raw)
    except UNREADABLE:
        return ""


def _read_usage(raw: msgspec.Raw) -> Usage | None:
    if bytes(raw) in NOTHING:
        return None
    try:
        usage = _usage.decode(raw)
    except UNREADABLE:
        return None
    cached = usage.input_tokens_details.cached_tokens if usage.input_tokens_details else 0
    return Usage(count(usage.input_tokens), count(usage.output_tokens), count(cached))


RESPONSES = Form("responses", "/responses", True, parse, read_event, read_plain, error_event=error_event)
