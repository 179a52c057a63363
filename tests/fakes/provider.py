"""A model provider that answers each path in that path's form, and does what its script says, by model name."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from tests.fakes import anthropic, gemini, openai_forms, openai_responses
from tests.fakes.behaviours import Behaviour, header_names, stream
from tests.fakes.threads import ServerThread


@dataclass
class Seen:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict
    raw: bytes
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def model(self) -> str:
        """The model that was asked for: Gemini's API has it in the path, all others in the body."""
        return self.body.get("model") or gemini.model_in(self.path)


EVENTS = (
    b': a comment\n\ndata: {"id":"c1","object":"chat.completion.chunk","model":"up","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"gr\xc3\xbc\xc3\x9f"},"finish_reason":null}],"big":18446744073709551615}\n\n',
    b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":" dich"},"finish_reason":null}],  "odd" : 1}\n\n',
    b'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}\n\n',
    b"data: [DONE]\n\n",
)
PLAIN = (
    b'{"id":"c1",  "object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":7},"big":18446744073709551615}'
)


async def answer(request: web.Request, body: dict) -> web.StreamResponse:
    """A whole answer, streamed in pieces when asked for."""
    if not body.get("stream"):
        return web.Response(body=PLAIN, content_type="application/json")
    return await stream(request, EVENTS)


def default(path: str) -> Behaviour:
    """What a model that is not in the script does: it answers in the form of the path."""
    if path.endswith("/responses"):
        return openai_responses.answer
    if path.endswith("/embeddings"):
        return openai_forms.embed
    if path.endswith(("/messages", "/messages/count_tokens")):
        return anthropic.answer
    if path.endswith("/completions") and not path.endswith("/chat/completions"):
        return openai_forms.complete
    return gemini.answer if gemini.model_in(path) else answer


def cut_after(count: int, *, abort: bool) -> Behaviour:
    """A stream that stops after some events: by a reset, or by a clean end without a finish."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        return await stream(request, EVENTS[:count], abort=abort)

    return behave


def refuse(status: int, message: str = "refused", **headers: str) -> Behaviour:
    """An error in OpenAI's form."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        error = {"error": {"message": message, "type": "server_error", "param": None, "code": None}}
        named = header_names(headers)
        return web.Response(status=status, text=json.dumps(error), content_type="application/json", headers=named)

    return behave


def page(status: int) -> Behaviour:
    """An HTML page where a completion should be."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        return web.Response(status=status, text="<html>Bad gateway</html>", content_type="text/html")

    return behave


def saying(text: str, finish_reason: str = "stop", *, breaks: bool = False) -> Behaviour:
    """This reply, whole or streamed in pieces; one that breaks is cut off before its finish."""
    reason = json.dumps(finish_reason)

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        if not body.get("stream"):
            message = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
            plain = {"choices": [message], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}
            return web.json_response(plain)
        pieces = [text[start : start + 7] for start in range(0, len(text), 7)]
        events = [
            b'data: {"choices":[{"index":0,"delta":{"content":%s},"finish_reason":null}]}\n\n'
            % json.dumps(piece).encode()
            for piece in pieces
        ]
        if not breaks:
            events.append(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":%s}]}\n\n' % reason.encode())
            events.append(b"data: [DONE]\n\n")
        return await stream(request, tuple(events), abort=breaks)

    return behave


async def silence(request: web.Request, body: dict) -> web.StreamResponse:
    """No answer at all, until the caller goes."""
    await asyncio.Event().wait()
    raise AssertionError("never reached")


class FakeProvider:
    """Answers every path; `script` names the models that do something else than answer."""

    def __init__(self) -> None:
        self.script: dict[str, Behaviour] = {}
        self.seen: list[Seen] = []
        self._thread = ServerThread(self._start)
        self.url = f"http://127.0.0.1:{self._thread.port}/v1"

    def reset(self) -> None:
        self.script.clear()
        self.seen.clear()

    def models_tried(self) -> list[str]:
        return [seen.model for seen in self.seen]

    def close(self) -> None:
        self._thread.close()

    async def _start(self) -> tuple[int, Callable[[], Awaitable[None]]]:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner.addresses[0][1], runner.cleanup

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else {}
        seen = Seen(request.path, dict(request.headers), body, raw)
        self.seen.append(seen)
        behave = self.script.get(seen.model) or default(request.path)
        try:
            return await behave(request, body)
        except asyncio.CancelledError:
            seen.closed.set()
            raise
