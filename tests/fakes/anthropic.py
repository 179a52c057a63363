"""Anthropic's Messages API as behaviours for FakeProvider: replies, its errors, and its ways to break off."""

from collections.abc import Sequence

from aiohttp import web

from tests.fakes.behaviours import JSON, Behaviour, encoded, header_names, named_event, pieces, stream, whole

MODEL = "claude-sonnet-5-5"
USAGE = {"input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 3}
REQUEST_ID = "req_011CSHoEeqs5C35K2UUqR7Fy"
COUNTED = b'{"input_tokens":14}'
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def text(words: str) -> JSON:
    """A content block of text."""
    return {"type": "text", "text": words}


def thinking(words: str, signature: str = "c2lnbmVk") -> JSON:
    """A content block of thoughts."""
    return {"type": "thinking", "thinking": words, "signature": signature}


def tool_use(name: str, arguments: JSON, call_id: str = "toolu_01A09q90qw90lq917835lq9") -> JSON:
    """A content block that calls a tool."""
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def message(*blocks: JSON, stop_reason: str = "end_turn", usage: JSON | None = None) -> JSON:
    """A whole reply; the usage has every count of USAGE, with these in their place."""
    return {
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(blocks),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {**USAGE, **(usage or {})},
    }


def events(reply: JSON) -> tuple[bytes, ...]:
    """The reply as it is streamed: a start, each block in pieces, the stop reason with the usage, a stop."""
    begun = {**reply, "content": [], "stop_reason": None, "usage": {**reply["usage"], "output_tokens": 1}}
    told: list[JSON] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(reply["content"]):
        start, deltas = _in_pieces(block)
        told.append({"type": "content_block_start", "index": index, "content_block": start})
        told.extend({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        told.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": reply["stop_reason"], "stop_sequence": reply["stop_sequence"]}
    told.append({"type": "message_delta", "delta": end, "usage": reply["usage"]})
    told.append({"type": "message_stop"})
    return tuple(map(named_event, told))


def _in_pieces(block: JSON) -> tuple[JSON, list[JSON]]:
    if block["type"] == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        return {**block, "text": ""}, deltas
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return {**block, "thinking": "", "signature": ""}, deltas
    # The real one begins a tool's arguments with an empty piece.
    arguments = ["", *pieces(encoded(block["input"]).decode())]
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in arguments]


HELLO = message(text("hello"))
PLAIN = encoded(HELLO)
EVENTS = events(HELLO)


def error(status: int, words: str, headers: dict[str, str] | None = None) -> web.Response:
    """An error in Anthropic's form, its type by its status."""
    named = {"type": ERROR_TYPES.get(status, "api_error"), "message": words}
    body = {"type": "error", "error": named, "request_id": REQUEST_ID}
    return whole(encoded(body), status, {"request-id": REQUEST_ID, **(headers or {})})


def objection(request: web.Request, body: JSON) -> web.Response | None:
    """What the real one refuses before any model is asked."""
    # Portkey sends the key in x-api-key, Anthropic's SDK (2.14) as a bearer.
    if not (request.headers.get("x-api-key") or request.headers.get("authorization", "").startswith("Bearer ")):
        return error(401, "x-api-key header is required")
    if not request.headers.get("anthropic-version"):
        return error(400, "anthropic-version: header is required")
    for field in ("model", "messages"):
        if field not in body:
            return error(400, f"{field}: Field required")
    if "max_tokens" not in body and not request.path.endswith("/count_tokens"):
        return error(400, "max_tokens: Field required")
    return None


def replying(*blocks: JSON, stop_reason: str = "end_turn", usage: JSON | None = None) -> Behaviour:
    """This reply, plain or streamed as asked; for count_tokens, a count."""
    reply = message(*blocks, stop_reason=stop_reason, usage=usage)
    return _answering(encoded(reply), events(reply))


def cut_after(count: int, *, abort: bool) -> Behaviour:
    """A stream that stops after some of EVENTS: by a reset, or by a clean end without its stop."""
    return _answering(PLAIN, EVENTS[:count], abort=abort)


def failing_after(count: int, kind: str = "overloaded_error", words: str = "Overloaded") -> Behaviour:
    """A stream that ends in an error event after some of EVENTS."""
    failure = named_event({"type": "error", "error": {"type": kind, "message": words}, "request_id": REQUEST_ID})
    return _answering(PLAIN, (*EVENTS[:count], failure))


def refuse(status: int, words: str = "refused", **headers: str) -> Behaviour:
    """An error for whoever is known: 404 for a model, 429 with retry_after="7", 529 when overloaded."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        return objection(request, body) or error(status, words, header_names(headers))

    return behave


def _answering(plain: bytes, streamed: Sequence[bytes], *, abort: bool = False) -> Behaviour:
    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        refused = objection(request, body)
        if refused is not None:
            return refused
        if request.path.endswith("/count_tokens"):
            return whole(COUNTED, headers={"request-id": REQUEST_ID})
        if body.get("stream"):
            return await stream(request, streamed, abort=abort)
        return whole(plain, headers={"request-id": REQUEST_ID})

    return behave


answer = _answering(PLAIN, EVENTS)
