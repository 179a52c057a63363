"""What a fake provider does with a request, and how it writes events: shared by the forms of all providers."""

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import web

Behaviour = Callable[[web.Request, dict], Awaitable[web.StreamResponse]]
JSON = dict[str, Any]


def encoded(value: object) -> bytes:
    """JSON as providers write it: no blanks, letters as they are."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def named_event(event: JSON) -> bytes:
    """A server-sent event that is named by its own type, as Anthropic and OpenAI's Responses API send them."""
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), encoded(event))


def data_event(value: object) -> bytes:
    """A server-sent event without a name."""
    return b"data: %s\n\n" % encoded(value)


def pieces(text: str, length: int = 7) -> list[str]:
    """The text as a model streams it."""
    return [text[start : start + length] for start in range(0, len(text), length)]


async def stream(request: web.Request, events: Iterable[bytes], *, abort: bool = False) -> web.StreamResponse:
    """Events one by one, to a clean end or, with `abort`, to a reset."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for event in events:
        await response.write(event)
    if abort:
        request.transport.abort()
    return response


def whole(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer in one piece."""
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def header_names(headers: dict[str, str]) -> dict[str, str]:
    """Keyword arguments as header names: retry_after is retry-after."""
    return {name.replace("_", "-"): value for name, value in headers.items()}
