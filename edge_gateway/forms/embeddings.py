"""OpenAI's embeddings: texts become vectors, never streamed."""

from __future__ import annotations

from typing import Any

import msgspec

from edge_gateway.chat_request import ChatRequest, Turn, estimate, read
from edge_gateway.event_stream import Piece, Said, Usage
from edge_gateway.forms.choices import read_usage
from edge_gateway.forms.form import Form
from edge_gateway.forms.reading import UNREADABLE


class _Body(msgspec.Struct):
    model: str
    # Texts, or tokens by number.
    input: str | list[Any]


class _Answer(msgspec.Struct):
    data: list[msgspec.Raw]
    usage: msgspec.Raw = msgspec.Raw()


_answer = msgspec.json.Decoder(_Answer)


def parse(raw: bytes) -> ChatRequest:
    """What routing needs of a request; an invalid_request error names the field that is wrong."""
    body, fields = read(raw, _Body, "model and input")
    texts = [body.input] if isinstance(body.input, str) else [part for part in body.input if isinstance(part, str)]
    numbers = 0 if texts else sum(len(part) if isinstance(part, list) else 1 for part in body.input)
    tokens = numbers or estimate([Turn("user", text) for text in texts], images=0, extra_characters=0)
    # Texts to be embedded are no conversation: the router is shown none.
    return ChatRequest(body.model, (), False, tokens, 0, fields=fields)


def read_event(_data: bytes) -> Piece | None:
    """Nothing: embeddings come in no stream."""
    return None


def read_plain(body: bytes) -> tuple[Usage, Said] | None:
    """The usage of an answer, and whether it holds vectors; None when the bytes are none."""
    try:
        answer = _answer.decode(body)
    except UNREADABLE:
        return None
    return read_usage(answer.usage), Said("", bool(answer.data))


EMBEDDINGS = Form("embeddings", "/embeddings", False, parse, read_event, read_plain)
