"""Reads from a chat completion request the few fields that routing needs; the bytes themselves are never remodelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from edge_gateway import json_guard
from edge_gateway.errors import invalid_request

# Characters a token, on the low side for English and code: an estimate that errs towards a larger context.
CHARACTERS_PER_TOKEN = 3.5
TOKENS_PER_MESSAGE = 4
TOKENS_PER_IMAGE = 1000
IMAGES = frozenset({"image_url", "input_image", "image"})
# Names by which other gateways let a client choose the server or its key. Here the configuration alone does.
STEERING = frozenset({"api_base", "api_key", "base_url", "custom_host", "customHost", "virtual_key"})
Body = TypeVar("Body", bound=msgspec.Struct)


class _Part(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None


class _Message(msgspec.Struct, gc=False):
    role: str
    content: str | list[_Part] | None = None


class _Format(msgspec.Struct):
    type: str = "text"


class _Body(msgspec.Struct):
    model: str
    messages: list[_Message]
    stream: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: Any = None
    n: Any = None
    logprobs: Any = None
    tools: list[Any] | None = None
    response_format: _Format | None = None


class _Tools(msgspec.Struct):
    tools: list[msgspec.Raw]


class Turn(msgspec.Struct, frozen=True, gc=False):
    """One message: its role and its text, the text parts joined."""

    role: str
    text: str


class ChatRequest(msgspec.Struct, frozen=True):
    """What routing needs of a request; token counts are estimates, `fields` the names at the body's top level.

    `answers`: how many are asked for. `repeatable`: the client wants the same answer to the same question. `bound`: it holds
    what only the model that wrote it can read, such as encrypted reasoning. `stored`: it goes on from an answer that its
    provider keeps. `rests_on`: those of its fields without which the answer would be another thing.
    """

    model: str
    turns: tuple[Turn, ...]
    stream: bool
    input_tokens: int
    output_tokens: int
    images: int = 0
    tools: bool = False
    json: bool = False
    fields: frozenset[str] = frozenset()
    repeatable: bool = False
    bound: bool = False
    stored: bool = False
    answers: int = 1
    rests_on: frozenset[str] = frozenset()

    @property
    def vision(self) -> bool:
        """Whether a model must see images to answer."""
        return self.images > 0


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_tools = msgspec.json.Decoder(_Tools)


def parse(raw: bytes) -> ChatRequest:
    """Read a chat completion's bytes; an invalid_request error names the field that is wrong."""
    body, fields = read(raw, _Body, "model and messages")
    as_json = body.response_format is not None and body.response_format.type.startswith("json")
    answers = body.n if isinstance(body.n, int) and body.n > 1 else 1
    wanted = {"response_format": as_json, "n": answers > 1, "logprobs": body.logprobs is True}
    if not body.messages:
        raise invalid_request("messages is empty; send at least one message.", "messages")
    turns, images = _turns(body.messages)
    return ChatRequest(
        model=body.model,
        turns=turns,
        stream=bool(body.stream),
        input_tokens=estimate(turns, images, tools_characters(raw) if body.tools else 0),
        output_tokens=max(0, body.max_completion_tokens or body.max_tokens or 0),
        images=images,
        tools=bool(body.tools),
        json=as_json,
        fields=fields,
        repeatable=body.temperature == 0,
        answers=answers,
        rests_on=frozenset(name for name, holds in wanted.items() if holds),
    )


def read(raw: bytes, kind: type[Body], wanted: str) -> tuple[Body, frozenset[str]]:
    """A request's fields that matter, and the names of all; an invalid_request error names what is wrong.

    `wanted`: what a body has to hold at least, in words.
    """
    json_guard.check(raw)
    try:
        # Unread values: a field that nobody here reads may hold what Python cannot, a number beyond its floats for one.
        fields = _fields.decode(raw)
        json_guard.check_names(raw, fields)
        body = msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise invalid_request(*_complaint(str(error))) from None
    except RecursionError:
        raise json_guard.too_complex("values nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise invalid_request(f"The request body is not JSON. Send a JSON object with {wanted}.") from None
    if steering := sorted(STEERING & fields.keys()):
        text = f"This gateway chooses the server and its key itself; leave out {steering[0]}."
        raise invalid_request(text, steering[0], "field_not_allowed")
    return body, frozenset(fields)


def is_image(part: Mapping[str, Any]) -> bool:
    """Whether a part of a message, as it was sent, is an image."""
    kind = part.get("type")
    return isinstance(kind, str) and kind in IMAGES


def tools_characters(raw: bytes) -> int:
    """The length of the tools of a body that has been read, as they were sent, blanks included."""
    return sum(len(memoryview(tool)) for tool in _tools.decode(raw).tools)


def tokens_of(text: str) -> int:
    """An estimate of a text's tokens."""
    return int(len(text) / CHARACTERS_PER_TOKEN)


def estimate(turns: Sequence[Turn], images: int, extra_characters: int) -> int:
    """An estimate of the input's tokens; `extra_characters`: what is sent beside the turns."""
    characters = sum([len(turn.text) for turn in turns]) + extra_characters
    return int(characters / CHARACTERS_PER_TOKEN) + TOKENS_PER_MESSAGE * len(turns) + TOKENS_PER_IMAGE * images


def clipped(turns: tuple[Turn, ...], limit: int) -> tuple[Turn, ...]:
    """The turns that decide, in at most `limit` characters: the head of the system text, and the latest turns.

    The last turn goes first, because it holds the question; older ones follow while there is room.
    """
    system = [turn for turn in turns[:1] if turn.role in ("system", "developer")]
    head = tuple(Turn("system", turn.text[: limit // 8]) for turn in system)
    room = limit - sum(len(turn.text) for turn in head)
    tail: list[Turn] = []
    for turn in reversed(turns[len(system) :]):
        if room <= 0:
            break
        if not turn.text:
            continue
        role = turn.role if turn.role in ("system", "user", "assistant", "tool") else "user"
        # The head of a turn says what is asked; Aider appends its format rules at the end.
        tail.append(Turn(role, turn.text[: min(room, limit // 2)]))
        room -= len(tail[-1].text)
    return (*head, *reversed(tail))


def _turns(messages: list[_Message]) -> tuple[tuple[Turn, ...], int]:
    """The messages' turns, and how many images they hold."""
    turns, images = [], 0
    for message in messages:
        content = message.content
        if isinstance(content, str):
            turns.append(Turn(message.role, content))
            continue
        parts = content or []
        images += sum(part.type in IMAGES for part in parts)
        turns.append(Turn(message.role, "\n".join(part.text for part in parts if part.text)))
    return tuple(turns), images


def _complaint(problem: str) -> tuple[str, str | None]:
    """msgspec's complaint as a sentence, and the field it is about."""
    what, _, path = problem.partition(" - at `$")
    field = path.rstrip("`").lstrip(".") or None
    if "missing required field" in what:
        name = what.rsplit("`", 2)[-2]
        field = f"{field}.{name}" if field else name
        return f"{field} is missing from the request body.", field
    return f"{field or 'The request body'} is wrong: {what[0].lower() + what[1:]}.", field
