"""A provider whose answer follows from the prompt to the last byte, so that whoever asked can tell whether it is whole."""

import asyncio
import hashlib

from aiohttp import web

from tests.fakes.behaviours import data_event, encoded, whole
from tests.fakes.openai_chat import DONE

PARTS = 8
# Between two events, so that a stream takes long enough to be hit in its middle.
PACE = 0.02


def _said(prompt: str) -> list[str]:
    return [hashlib.sha256(f"{prompt} {number}".encode()).hexdigest() for number in range(PARTS)]


def plain(prompt: str) -> bytes:
    """The answer to this prompt in one piece."""
    message = {"index": 0, "message": {"role": "assistant", "content": "".join(_said(prompt))}, "finish_reason": "stop"}
    return encoded({"choices": [message], "usage": {"prompt_tokens": 11, "completion_tokens": 7}})


def events(prompt: str) -> tuple[bytes, ...]:
    """The answer to this prompt as it is streamed."""
    said = [data_event({"choices": [{"index": 0, "delta": {"content": part}}]}) for part in _said(prompt)]
    end = data_event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return (*said, end, DONE)


async def answer(request: web.Request, body: dict) -> web.StreamResponse:
    """The answer to the last message."""
    prompt = body["messages"][-1]["content"]
    if not body.get("stream"):
        return whole(plain(prompt))
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for event in events(prompt):
        await response.write(event)
        await asyncio.sleep(PACE)
    return response
