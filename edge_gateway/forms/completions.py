"""OpenAI's legacy completions: a prompt goes on."""

from __future__ import annotations

from typing import Any

import msgspec

from edge_gateway.chat_request import ChatRequest, Turn, estimate, read
from edge_gateway.event_stream import Piece, Said, Usage
from edge_gateway.forms.choices import Chunk, Ending, answer_of, event_of
from edge_gateway.forms.form import Form
from edge_gateway.forms.reading import UNREADABLE


class _Body(msgspec.Struct):
    model: str
    # Texts, or tokens by number.
    prompt: str | list[Any] | None = None
    stream: bool | None = None
    max_tokens: int | None = None
    n: Any = None
    best_of: Any = None


class _Choice(Ending):
    text: str | None = None


_chunk = msgspec.json.Decoder(Chunk[_Choice])


def parse(raw: bytes) -> ChatRequest:
    """What routing needs of a request; an invalid_request error names the field that is wrong."""
    body, fields = read(raw, _Body, "model and prompt")
    prompt = body.prompt or ""
    texts = [prompt] if isinstance(prompt, str) else [part for part in prompt if isinstance(part, str)]
    numbers = 0 if texts else sum(len(part) if isinstance(part, list) else 1 for part in prompt)
    turns = tuple(Turn("user", text) for text in texts)
    tokens = numbers or estimate(turns, images=0, extra_characters=0)
    output = max(0, body.max_tokens or 0)
    return ChatRequest(body.model, turns, bool(body.stream), tokens, output, fields=fields, answers=_answers(body))


def _answers(body: _Body) -> int:
    """How many texts the model writes: several for each prompt, of which the best may be chosen."""
    prompts = body.prompt if isinstance(body.prompt, list) else []
    several = len(prompts) if all(isinstance(prompt, str | list) for prompt in prompts) else 1
    return max(1, several) * max([1, *(wish for wish in (body.n, body.best_of) if isinstance(wish, int))])


def read_event(data: bytes) -> Piece | None:
    """What one chunk says; None where that cannot be read."""
    if data == b"[DONE]":
        return Piece(closing=True)
    try:
        chunk = _chunk.decode(data)
    except UNREADABLE:
        return None
    return event_of(chunk, _said)


def read_plain(body: bytes) -> tuple[Usage, Said] | None:
    """The usage and the text of a completion; None when the bytes are none."""
    try:
        chunk = _chunk.decode(body)
    except UNREADABLE:
        return None
    return answer_of(chunk, _said)


def _said(choice: _Choice) -> Said:
    return Said(choice.text or "", bool(choice.text))


COMPLETIONS = Form("completions", "/completions", False, parse, read_event, read_plain)
