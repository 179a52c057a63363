"""A client's request in each form: understood, or refused as the client's; and as every other reader would read it."""

import json
from typing import Any

from edge_gateway import aider, json_guard
from edge_gateway.errors import BAD_REQUEST, GatewayError
from edge_gateway.forms import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES

FORMS = (CHAT, RESPONSES, MESSAGES, COMPLETIONS, EMBEDDINGS)
# Few enough that an input of some hundred bytes passes them.
MOST = 40
SEEDS = (
    b'\x00{"model":"auto","messages":[{"role":"system","content":"Act as an expert"},{"role":"user","content":"hi"}],'
    b'"stream":true,"temperature":0}',
    b'\x00{"model": "auto", "messages": [{"role": "user", "content": [{"type": "image_url"}, {"type": "text", "text": "a"}]}],'
    b' "tools": [{}], "n": 2, "logprobs": true, "response_format": {"type": "json_object"}}',
    b'\x01{"model":"auto","input":[{"role":"user","content":[{"type":"input_text","text":"a"}]}],"text":{"format":{"type":"json"}}}',
    b'\x02{"model":"auto","system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"a"}],"max_tokens":9}',
    b'\x03{"model":"m","prompt":["a",[1,2]],"best_of":2}',
    b'\x04{"model":"m","input":[[1,2],"b"]}',
    '\x00{"model":"a","é":1,"model":"bb","messages":[{"role":"user","content":"\\u00fc\\\\\\"{["}]}'.encode(),
    b'\x00{"model":"m","x":[[[{}, {}, {}, {}, [], [], [], 1, 2, 3, 4, 5, 6, 7, 8]], {"a":{"b":{"c":[1,2,3,4,5,6,7,8,9]}}}]}',
)

json_guard.MOST_VALUES = MOST
json_guard._MOST_QUOTES = 4 * MOST


def one_input(data: bytes) -> None:
    """The first byte says which form."""
    if not data:
        return
    form, raw = FORMS[data[0] % len(FORMS)], data[1:]
    try:
        request = form.parse(raw)
    except GatewayError as error:
        assert error.status == BAD_REQUEST
        if error.code == "duplicate_field" and (members := _members(raw)) is not None:
            assert len({name for name, _ in members}) < len(members)
        form.error_body(error)
        return
    if form.routed and request.turns:
        aider.understand(request)
    members = _members(raw)
    if members is None:
        return
    read = dict(members)
    assert len(read) == len(members), "a name stands twice"
    assert read["model"] == request.model
    assert bool(read.get("stream")) == request.stream
    assert set(read) == request.fields
    assert _values(read) <= MOST + 1


def _members(raw: bytes) -> list[tuple[str, Any]] | None:
    """What Python's own reader makes of the bytes; None where it cannot read them, or no object."""
    try:
        read = json.loads(raw.decode(), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    return list(read) if isinstance(read, _Pairs) else None


class _Pairs(list[tuple[str, Any]]):
    """An object's members, in their order and each of them."""


def _values(read: object) -> int:
    if isinstance(read, dict):
        return 1 + sum(map(_values, read.values()))
    if isinstance(read, _Pairs):
        return 1 + sum(_values(value) for _, value in read)
    return 1 + sum(map(_values, read)) if isinstance(read, list) else 1
