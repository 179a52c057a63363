"""Changes single parts of a request's JSON and leaves the bytes of all others as they were sent."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from edge_gateway.chat_request import Turn
from edge_gateway.errors import invalid_request

EPHEMERAL = {"type": "ephemeral"}
_RULES = ("system", "developer")


class _Head(msgspec.Struct):
    role: str = ""


_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])
_head = msgspec.json.Decoder(_Head)


def members(raw: bytes) -> dict[str, msgspec.Raw]:
    """A body's members, each value in its own bytes."""
    return _members.decode(raw)


def body(kept: Mapping[str, msgspec.Raw]) -> bytes:
    """A body of these members."""
    return msgspec.json.encode(kept)


def with_values(raw: bytes, named: Mapping[str, Any]) -> bytes:
    """The body with some members saying something else."""
    changed = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in named.items()}
    return body({**members(raw), **changed})


def values(held: Mapping[str, msgspec.Raw], names: Collection[str]) -> dict[str, Any]:
    """What some members say; an invalid_request error names one that holds what Python cannot."""
    found = {}
    for name in names:
        try:
            found[name] = msgspec.json.decode(held[name])
        except (msgspec.DecodeError, RecursionError):
            raise invalid_request(f"{name} is wrong: it cannot be read.", name) from None
    return found


def split(messages: msgspec.Raw) -> list[msgspec.Raw]:
    """The messages, each in its own bytes."""
    return _list.decode(messages)


def joined(messages: Sequence[msgspec.Raw]) -> msgspec.Raw:
    """The messages as one value."""
    return msgspec.Raw(msgspec.json.encode(messages))


def repeats_user(turns: Sequence[Turn]) -> bool:
    """Whether two user messages follow each other."""
    return any(one.role == two.role == "user" for one, two in itertools.pairwise(turns))


def merged(messages: Sequence[msgspec.Raw]) -> list[msgspec.Raw]:
    """The messages with those of the user that follow each other in one."""
    made: list[msgspec.Raw] = []
    last = ""
    for message in messages:
        role = _head.decode(message).role
        both = _both(made[-1], message) if role == last == "user" else None
        if both is not None:
            made[-1] = both
        else:
            made.append(message)
        last = role
    return made


def marked(messages: Sequence[msgspec.Raw], stable: int) -> list[msgspec.Raw]:
    """The messages with a marker at the end of the rules and at the end of the stable beginning.

    Where the client has set markers itself nothing is changed.
    """
    made = list(messages)
    if any(b'"cache_control"' in bytes(message) for message in made):
        return made
    rules = [at for at, message in enumerate(made[:stable]) if _head.decode(message).role in _RULES]
    for at in {*rules[-1:], stable - 1}:
        made[at] = _with_marker(made[at])
    return made


def _with_marker(message: msgspec.Raw) -> msgspec.Raw:
    """The message with a marker on its last text; unchanged where it has none."""
    found = _read(message)
    if found is None:
        return message
    content = found.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) and content else content
    if not isinstance(parts, list):
        return message
    texts = [at for at, part in enumerate(parts) if isinstance(part, dict) and part.get("type") == "text"]
    if not texts:
        return message
    parts = [{**part, "cache_control": EPHEMERAL} if at == texts[-1] else part for at, part in enumerate(parts)]
    return msgspec.Raw(msgspec.json.encode({**found, "content": parts}))


def _both(one: msgspec.Raw, two: msgspec.Raw) -> msgspec.Raw | None:
    """Two messages in one; None where one of them cannot be read."""
    first, second = _read(one), _read(two)
    if first is None or second is None:
        return None
    contents = [first.get("content") or "", second.get("content") or ""]
    if all(isinstance(content, str) for content in contents):
        content: Any = "\n\n".join(text for text in contents if text)
    else:
        content = [part for each in contents for part in _parts(each)]
    return msgspec.Raw(msgspec.json.encode({**first, "content": content}))


def _read(message: msgspec.Raw) -> dict[str, Any] | None:
    """What a message says; None where it holds what Python cannot, such as a number beyond its floats."""
    try:
        found: dict[str, Any] = msgspec.json.decode(message)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found


def _parts(content: Any) -> list[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return list(content)
