"""The same replies in two further forms of API: Anthropic's messages, and OpenAI's responses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from demo.completion import Completion, JsonObject, RequestError


def from_messages(body: JsonObject) -> JsonObject:
    """A request of Anthropic's form as a chat completion's."""
    system = [{"role": "system", "content": _text(body["system"])}] if body.get("system") else []
    told = [{**message, "content": _text(message.get("content"))} for message in body["messages"]]
    return {**body, "messages": [*system, *told]}


def from_responses(body: JsonObject) -> JsonObject:
    """A request of the responses form as a chat completion's."""
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise RequestError(400, "'input' must be a text or a list of at least one item.", param="input")
    rules = [{"role": "system", "content": body["instructions"]}] if body.get("instructions") else []
    told = [{"role": item.get("role", "user"), "content": _text(item.get("content"))} for item in items]
    return {**body, "messages": [*rules, *told], "max_tokens": body.get("max_output_tokens")}


def message(completion: Completion) -> JsonObject:
    """The reply as Anthropic's message."""
    return {
        **_begun_message(completion),
        "content": [{"type": "text", "text": completion.text}],
        "stop_reason": "end_turn" if completion.finish_reason == "stop" else "max_tokens",
        "usage": _usage(completion),
    }


def message_events(completion: Completion) -> Iterator[JsonObject]:
    """The events of Anthropic's stream."""
    yield {"type": "message_start", "message": {**_begun_message(completion), "content": [], "stop_reason": None}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for piece in completion.pieces():
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
    yield {"type": "content_block_stop", "index": 0}
    whole = message(completion)
    ending = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": {"output_tokens": whole["usage"]["output_tokens"]}}
    yield {"type": "message_stop"}


def response(completion: Completion) -> JsonObject:
    """The reply as a response."""
    return _response(completion, "completed", [_item(completion, "completed", [_part(completion.text)])])


def response_events(completion: Completion) -> Iterator[JsonObject]:
    """The events of a response's stream, numbered."""
    for number, event in enumerate(_response_events(completion)):
        yield {**event, "sequence_number": number}


def _response_events(completion: Completion) -> Iterator[JsonObject]:
    begun = _response(completion, "in_progress", [])
    place = {"item_id": f"msg_{completion.id}", "output_index": 0, "content_index": 0}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    empty = _item(completion, "in_progress", [])
    yield {"type": "response.output_item.added", "output_index": 0, "item": empty}
    yield {"type": "response.content_part.added", **place, "part": _part("")}
    for piece in completion.pieces():
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": completion.text, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": _part(completion.text)}
    whole = response(completion)
    yield {"type": "response.output_item.done", "output_index": 0, "item": whole["output"][0]}
    yield {"type": "response.completed", "response": whole}


def _begun_message(completion: Completion) -> JsonObject:
    usage = {**_usage(completion), "output_tokens": 1}
    head = {"id": f"msg_{completion.id}", "type": "message", "role": "assistant", "model": completion.model}
    return {**head, "stop_sequence": None, "usage": usage}


def _response(completion: Completion, status: str, output: Sequence[JsonObject]) -> JsonObject:
    usage = _usage(completion)
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    return {
        "id": f"resp_{completion.id}",
        "object": "response",
        "created_at": completion.created,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": completion.model,
        "output": list(output),
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": {**usage, **details, "total_tokens": sum(usage.values())} if status == "completed" else None,
    }


def _item(completion: Completion, status: str, parts: Sequence[JsonObject]) -> JsonObject:
    head = {"id": f"msg_{completion.id}", "type": "message", "role": "assistant", "status": status}
    return {**head, "content": list(parts)}


def _part(text: str) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(completion: Completion) -> dict[str, int]:
    counted = completion.usage()
    return {"input_tokens": counted["prompt_tokens"], "output_tokens": counted["completion_tokens"]}


def _text(content: Any) -> str:
    """The text of a message's content, its parts joined."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))
