"""Anthropic's Messages: blocks of content in and out, errors in a form of their own."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from edge_gateway import errors
from edge_gateway.chat_request import ChatRequest, Turn, estimate, is_image, read, tools_characters
from edge_gateway.errors import GatewayError, invalid_request
from edge_gateway.event_stream import Piece, Said, Usage
from edge_gateway.forms.form import Form
from edge_gateway.forms.reading import NOTHING, UNREADABLE, count, error_of

_KINDS = {
    errors.BAD_REQUEST: "invalid_request_error",
    errors.UNAUTHORIZED: "authentication_error",
    errors.FORBIDDEN: "permission_error",
    errors.NOT_FOUND: "not_found_error",
    errors.TOO_MANY: "rate_limit_error",
    errors.UNAVAILABLE: "overloaded_error",
    errors.GATEWAY_TIMEOUT: "timeout_error",
}


class _Message(msgspec.Struct):
    role: str
    content: str | list[dict[str, Any]]


class _Body(msgspec.Struct):
    model: str
    messages: list[_Message]
    system: str | list[dict[str, Any]] | None = None
    max_tokens: int | None = None
    stream: bool | None = None
    temperature: Any = None
    tools: list[Any] | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None


class _Answer(msgspec.Struct):
    type: str = ""
    content: list[_Block] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    stop_reason: Any = None


class _Delta(msgspec.Struct):
    text: str | None = None
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Answer | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_event = msgspec.json.Decoder(_Event)
_answer = msgspec.json.Decoder(_Answer)
_usage = msgspec.json.Decoder(_Usage)


def parse(raw: bytes) -> ChatRequest:
    """What routing needs of a request; an invalid_request error names the field that is wrong."""
    body, fields = read(raw, _Body, "model, max_tokens and messages")
    if not body.messages:
        raise invalid_request("messages is empty; send at least one message.", "messages")
    turns = [Turn(message.role, _text_of(message.content)) for message in body.messages]
    if body.system:
        turns.insert(0, Turn("system", _text_of(body.system)))
    blocks = [block for message in body.messages if isinstance(message.content, list) for block in message.content]
    images = sum(is_image(block) for block in blocks)
    return ChatRequest(
        model=body.model,
        turns=tuple(turns),
        stream=bool(body.stream),
        input_tokens=estimate(turns, images, tools_characters(raw) if body.tools else 0),
        output_tokens=max(0, body.max_tokens or 0),
        images=images,
        tools=bool(body.tools),
        fields=fields,
        repeatable=body.temperature == 0,
        bound=any(block.get("signature") or block.get("type") == "redacted_thinking" for block in blocks),
    )


def read_event(data: bytes) -> Piece | None:
    """What one event says; None where that cannot be read."""
    try:
        event = _event.decode(data)
    except UNREADABLE:
        return None
    if event.type == "message_start":
        return Piece(usage=_read_usage(event.message.usage) if event.message else None)
    if event.type == "content_block_delta":
        return Piece(Said((event.delta.text or "") if event.delta else "", anything=True))
    if event.type == "content_block_start":
        # A text begins empty; a tool's call, or a server's result, is named at once.
        return Piece(Said("", event.content_block is not None and event.content_block.type not in ("text", "thinking")))
    if event.type == "message_delta":
        reason = event.delta.stop_reason if event.delta else None
        return Piece(Said(reasons=(reason,) if reason else ()), bool(reason), usage=_read_usage(event.usage))
    return Piece(last=event.type == "message_stop", error=error_of(event.error))


def read_plain(body: bytes) -> tuple[Usage, Said] | None:
    """The usage and the words of a message; None when the bytes are none."""
    try:
        answer = _answer.decode(body)
    except UNREADABLE:
        return None
    if answer.content is None or answer.type == "error":
        return None
    text = "".join(block.text or "" for block in answer.content)
    reasons = (answer.stop_reason,) if isinstance(answer.stop_reason, str) else ()
    return _read_usage(answer.usage) or Usage(), Said(text, bool(answer.content), reasons)


def error_body(error: GatewayError) -> bytes:
    """An error in Anthropic's form."""
    kind = _KINDS.get(error.status, "api_error")
    return json.dumps({"type": "error", "error": {"type": kind, "message": error.message}}).encode()


def error_event(error: GatewayError) -> bytes:
    """The same in a stream."""
    return b"event: error\ndata: " + error_body(error) + b"\n\n"


def _text_of(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(text for block in content if (text := _block_text(block)))


def _block_text(block: dict[str, Any]) -> str:
    """A text, or what a tool gave back."""
    text = block.get("text")
    if isinstance(text, str):
        return text
    given = block.get("content")
    if isinstance(given, str):
        return given
    parts = given if isinstance(given, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def _read_usage(raw: msgspec.Raw) -> Usage | None:
    """Anthropic counts what its cache served or took beside the input; the contract counts it in."""
    if bytes(raw) in NOTHING:
        return None
    try:
        usage = _usage.decode(raw)
    except UNREADABLE:
        return None
    cached = count(usage.cache_read_input_tokens)
    whole = count(usage.input_tokens) + cached + count(usage.cache_creation_input_tokens)
    return Usage(count(whole), count(usage.output_tokens), cached)


MESSAGES = Form("messages", "/messages", True, parse, read_event, read_plain, error_body, error_event)
