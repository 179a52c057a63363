"""OpenAI's chat completions beyond plain text: tool calls, several choices, logprobs, reasoning, schemas, images."""

from typing import Any

import jsonschema
from aiohttp import web

from tests.fakes.behaviours import JSON, Behaviour, data_event, encoded, pieces, stream, whole

MODEL = "gpt-5.2"
HEAD = {"id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "created": 1741569952, "model": MODEL}
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 0},
}
DONE = b"data: [DONE]\n\n"


def tool_call(name: str, arguments: JSON, call_id: str = "call_12xyz") -> JSON:
    """A call of a function tool."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": encoded(arguments).decode()}}


def refused(words: str, param: str | None = None, code: str | None = None) -> web.Response:
    """A 400 in OpenAI's form."""
    error = {"message": words, "type": "invalid_request_error", "param": param, "code": code}
    return whole(encoded({"error": error}), 400)


def replying(words: str | None = "hello there", *tool_calls: JSON, reasoning: str | None = None) -> Behaviour:
    """These words, these calls at once, these thoughts (reasoning_content): n times, with logprobs, as is asked."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        message = {"role": "assistant", "content": words, "refusal": None}
        if reasoning is not None:
            message["reasoning_content"] = reasoning
        if tool_calls:
            message["tool_calls"] = list(tool_calls)
        return await _send(request, body, message)

    return behave


def structured(value: object) -> Behaviour:
    """This value as JSON; refused when the request asks for no schema, or for one that it does not meet."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        wanted = body.get("response_format", {})
        if wanted.get("type") != "json_schema":
            return refused("response_format.type must be json_schema here", "response_format")
        try:
            jsonschema.validate(value, wanted["json_schema"]["schema"])
        except jsonschema.ValidationError as error:
            return refused(f"the scripted value does not meet the schema: {error.message}", "response_format")
        return await _send(request, body, {"role": "assistant", "content": encoded(value).decode(), "refusal": None})

    return behave


async def counting_images(request: web.Request, body: dict) -> web.StreamResponse:
    """Says how many images it was shown; one that is neither an address nor data is refused."""
    parts = [
        part for message in body["messages"] if isinstance(message["content"], list) for part in message["content"]
    ]
    images = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    if not all(url.startswith(("https://", "http://", "data:image/")) for url in images):
        return refused("Invalid image URL.", "messages", "invalid_image_url")
    return await _send(request, body, {"role": "assistant", "content": f"{len(images)} images", "refusal": None})


async def _send(request: web.Request, body: JSON, message: JSON) -> web.StreamResponse:
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    count = body.get("n") or 1
    if body.get("stream"):
        events: list[bytes] = []
        for index in range(count):
            events.extend(_chunks(index, message, reason, body))
        if (body.get("stream_options") or {}).get("include_usage"):
            events.append(data_event({**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}))
        return await stream(request, (*events, DONE))
    choices = [
        {
            "index": index,
            "message": message,
            "logprobs": _logprobs(message["content"], body),
            "finish_reason": reason,
        }
        for index in range(count)
    ]
    return whole(encoded({**HEAD, "object": "chat.completion", "choices": choices, "usage": USAGE}))


def _chunks(index: int, message: JSON, reason: str, body: JSON) -> list[bytes]:
    deltas: list[JSON] = [{"role": "assistant", "content": "" if message["content"] is not None else None}]
    deltas += [{"reasoning_content": piece} for piece in pieces(message.get("reasoning_content") or "")]
    deltas += [{"content": piece} for piece in pieces(message["content"] or "")]
    for number, call in enumerate(message.get("tool_calls", ())):
        function = call["function"]
        deltas.append({"tool_calls": [{"index": number, **call, "function": {**function, "arguments": ""}}]})
        deltas += [
            {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}
            for piece in pieces(function["arguments"])
        ]
    told = [_chunk(index, delta, None, _logprobs(delta.get("content"), body)) for delta in deltas]
    return [*told, _chunk(index, {}, reason, None)]


def _chunk(index: int, delta: JSON, reason: str | None, logprobs: JSON | None) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
    return data_event({**HEAD, "object": "chat.completion.chunk", "choices": [choice]})


def _logprobs(words: str | None, body: JSON) -> JSON | None:
    """One token a piece, each with the wished number of alternatives."""
    if not body.get("logprobs") or not words:
        return None

    def token(word: str, probability: float) -> dict[str, Any]:
        return {"token": word, "logprob": probability, "bytes": list(word.encode())}

    alternatives = range(body.get("top_logprobs") or 0)
    return {
        "content": [
            {**token(piece, -0.25), "top_logprobs": [token(piece, -0.25 - rank) for rank in alternatives]}
            for piece in pieces(words)
        ],
        "refusal": None,
    }
