"""OpenAI's embeddings and legacy completions as behaviours for FakeProvider."""

import base64
import struct

from aiohttp import web

from tests.fakes.behaviours import JSON, Behaviour, data_event, encoded, pieces, stream, whole
from tests.fakes.openai_chat import DONE, refused

EMBEDDING_MODEL = "text-embedding-3-small"
# Values that four bytes hold exactly, so that both encodings carry the same.
VECTOR = (0.25, -0.5, 0.125, 1.0)
COMPLETION_USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
COMPLETION_HEAD = {
    "id": "cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7",
    "object": "text_completion",
    "created": 1589478378,
    "model": "gpt-3.5-turbo-instruct",
}


def embeddings(count: int, encoding: str = "float", vector: tuple[float, ...] = VECTOR) -> bytes:
    """The body of an answer with this many embeddings, each the same vector."""
    packed = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    value = packed if encoding == "base64" else list(vector)
    data = [{"object": "embedding", "index": index, "embedding": value} for index in range(count)]
    usage = {"prompt_tokens": 8 * count, "total_tokens": 8 * count}
    return encoded({"object": "list", "data": data, "model": EMBEDDING_MODEL, "usage": usage})


EMBEDDING = embeddings(1)
EMBEDDING_BASE64 = embeddings(1, "base64")


async def embed(request: web.Request, body: dict) -> web.StreamResponse:
    """An embedding for each input: a text, texts, tokens, or lists of tokens."""
    asked = body.get("input")
    if not asked:
        return refused("'$.input' is invalid. Please check the API reference.", "input")
    encoding = body.get("encoding_format") or "float"
    if encoding not in {"float", "base64"}:
        return refused(f"'{encoding}' is not one of 'float' and 'base64'", "encoding_format")
    one = isinstance(asked, str) or isinstance(asked[0], int)
    return whole(embeddings(1 if one else len(asked), encoding))


def completion(words: str) -> bytes:
    """The body of a whole completion."""
    choice = {"text": words, "index": 0, "logprobs": None, "finish_reason": "stop"}
    return encoded({**COMPLETION_HEAD, "choices": [choice], "usage": COMPLETION_USAGE})


def completion_events(words: str) -> tuple[bytes, ...]:
    """The completion as it is streamed; its last event before the end has the finish reason."""
    parts = [*pieces(words), ""]
    choices: list[JSON] = [{"text": part, "index": 0, "logprobs": None, "finish_reason": None} for part in parts]
    choices[-1]["finish_reason"] = "stop"
    return (*(data_event({**COMPLETION_HEAD, "choices": [choice]}) for choice in choices), DONE)


COMPLETION = completion("hello there")
COMPLETION_EVENTS = completion_events("hello there")


def completing(words: str) -> Behaviour:
    """This completion, plain or streamed as asked."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        if "prompt" not in body:
            return refused("you must provide a prompt parameter", "prompt")
        if not body.get("stream"):
            return whole(completion(words))
        events = completion_events(words)
        if (body.get("stream_options") or {}).get("include_usage"):
            usage = data_event({**COMPLETION_HEAD, "choices": [], "usage": COMPLETION_USAGE})
            events = (*events[:-1], usage, DONE)
        return await stream(request, events)

    return behave


complete = completing("hello there")
