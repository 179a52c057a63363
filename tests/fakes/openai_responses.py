"""OpenAI's Responses API as behaviours for FakeProvider: output items, their events, and the ways a response may end."""

from collections.abc import Iterable

from aiohttp import web

from tests.fakes.behaviours import JSON, Behaviour, encoded, named_event, pieces, stream, whole
from tests.fakes.openai_chat import refused

MODEL = "gpt-5.2"
USAGE = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 0},
    "output_tokens": 8,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 44,
}


def text(words: str) -> JSON:
    """An output message."""
    return {
        "id": "msg_67ccd2bf17f0819081ff3bb2cf6508e6",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": words, "annotations": [], "logprobs": []}],
    }


def function_call(name: str, arguments: JSON, call_id: str = "call_unLAR8MvFNptuiZK6K6HCy5k") -> JSON:
    """An output item that calls a function."""
    return {
        "id": f"fc_{call_id.removeprefix('call_')}",
        "type": "function_call",
        "call_id": call_id,
        "name": name,
        "arguments": encoded(arguments).decode(),
        "status": "completed",
    }


def reasoning(summary: str) -> JSON:
    """An output item with the summary of its thoughts."""
    return {
        "id": "rs_6876cf02e0bc8192b74af0fb64b715ff",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": summary}],
    }


def response(*items: JSON, status: str = "completed", error: JSON | None = None, reason: str | None = None) -> JSON:
    """A whole response; `reason` is why it is incomplete."""
    return {
        "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
        "object": "response",
        "created_at": 1741476542,
        "status": status,
        "error": error,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": MODEL,
        "output": list(items),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": USAGE if status in {"completed", "incomplete"} else None,
    }


def events(whole_one: JSON) -> tuple[bytes, ...]:
    """The response as it is streamed, each event with its sequence number; the last is named by its status."""
    begun = {
        **whole_one,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
    }
    told: list[JSON] = [{"type": f"response.{name}", "response": begun} for name in ("created", "in_progress")]
    for index, item in enumerate(whole_one["output"]):
        told.extend(_item_events(index, item))
    told.append({"type": f"response.{whole_one['status']}", "response": whole_one})
    return tuple(named_event({**event, "sequence_number": number}) for number, event in enumerate(told))


def _item_events(index: int, item: JSON) -> Iterable[JSON]:
    inside, empty = _inside(index, item)
    begun = empty if item["type"] == "reasoning" else {**empty, "status": "in_progress"}
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    yield from inside
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _inside(index: int, item: JSON) -> tuple[list[JSON], JSON]:
    """What comes between an item's first event and its last, and the item as it begins."""
    place = {"item_id": item["id"], "output_index": index}
    if item["type"] == "function_call":
        name, words = "response.function_call_arguments", item["arguments"]
        told: list[JSON] = [{"type": f"{name}.delta", **place, "delta": piece} for piece in pieces(words)]
        told.append({"type": f"{name}.done", **place, "name": item["name"], "arguments": words})
        return told, {**item, "arguments": ""}
    if item["type"] == "reasoning":
        names = ("response.reasoning_summary_part", "response.reasoning_summary_text")
        return _part_events(item["summary"][0], names, {**place, "summary_index": 0}, {}), {**item, "summary": []}
    names = ("response.content_part", "response.output_text")
    told = _part_events(item["content"][0], names, {**place, "content_index": 0}, {"logprobs": []})
    return told, {**item, "content": []}


def _part_events(part: JSON, names: tuple[str, str], place: JSON, beside: JSON) -> list[JSON]:
    """A part's beginning, its text in pieces, and its end; `beside` stands with each piece."""
    part_name, text_name = names
    return [
        {"type": f"{part_name}.added", **place, "part": {**part, "text": ""}},
        *({"type": f"{text_name}.delta", **place, "delta": piece, **beside} for piece in pieces(part["text"])),
        {"type": f"{text_name}.done", **place, "text": part["text"], **beside},
        {"type": f"{part_name}.done", **place, "part": part},
    ]


HELLO = response(text("hello there"))
PLAIN = encoded(HELLO)
EVENTS = events(HELLO)


def replying(*items: JSON) -> Behaviour:
    """A completed response of these items."""
    return _answering(response(*items))


def failing(*items: JSON, code: str = "server_error", words: str = "The model failed.") -> Behaviour:
    """A response that fails after these items: response.failed at the stream's end."""
    return _answering(response(*items, status="failed", error={"code": code, "message": words}))


def incomplete(*items: JSON, reason: str = "max_output_tokens") -> Behaviour:
    """A response that ends before it is complete: response.incomplete at the stream's end."""
    return _answering(response(*items, status="incomplete", reason=reason))


def cut_after(count: int, *, abort: bool) -> Behaviour:
    """A stream that stops after some of EVENTS: by a reset, or by a clean end without its last event."""
    return _answering(HELLO, EVENTS[:count], abort=abort)


def _answering(reply: JSON, streamed: tuple[bytes, ...] | None = None, *, abort: bool = False) -> Behaviour:
    plain, told = encoded(reply), events(reply) if streamed is None else streamed

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        if "model" not in body:
            return refused("Missing required parameter: 'model'.", "model", "missing_required_parameter")
        if body.get("stream"):
            return await stream(request, told, abort=abort)
        return whole(plain)

    return behave


answer = _answering(HELLO)
