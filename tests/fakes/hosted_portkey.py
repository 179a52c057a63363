"""Hosted Portkey over a real socket: demands what it demands, walks the config, and answers from a script by model."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web

from tests.fakes.behaviours import JSON, encoded
from tests.fakes.portkey_answer import DENIED, Said, denial, failure, judged, pass_on
from tests.fakes.portkey_cache import Cached, SimpleCache
from tests.fakes.portkey_config import Config
from tests.fakes.portkey_request import Attempt, Handled, Refused, check_feedback, json_of, object_of, read_headers
from tests.fakes.portkey_walk import Target, Walked, walk
from tests.fakes.provider import FakeProvider
from tests.fakes.threads import ServerThread

ROUTES = ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/proxy/")
PROVIDERS = frozenset(
    [
        "openai",
        "anthropic",
        "google",
        "deepseek",
        "x-ai",
        "mistral-ai",
        "moonshot",
        "z-ai",
        "dashscope",
        "groq",
        "ollama",
    ]
)
# Of a request to /v1/proxy these are not the provider's business.
OWN_HEADERS = ("host", "content-length", "content-type", "connection", "accept-encoding", "transfer-encoding")


class HostedPortkey:
    """Portkey's service for one account.

    `script`: behaviours by model, as of FakeProvider, whose defaults answer else. `saved_configs`: by id (pc-…).
    `integrations` and `virtual_keys`: providers by slug (without @) and by key. `guardrails`: by id, 246 or 446 where
    one is to fail. `handled`: what was asked, refused requests too; `feedback`: what was told.
    """

    def __init__(self, api_key: str = "pk-test") -> None:
        self.api_key = api_key
        self.saved_configs: dict[str, JSON] = {}
        self.integrations: dict[str, str] = {}
        self.virtual_keys: dict[str, str] = {}
        self.guardrails: dict[str, int] = {}
        self.handled: list[Handled] = []
        self.feedback: list[JSON] = []
        # Seconds, and numbers from 0 up to 1 for the weights: a test may put its own in their place.
        self.clock: Callable[[], float] = time.monotonic
        self.draw: Callable[[], float] = random.Random(1).random
        self._provider = FakeProvider()
        self.script = self._provider.script
        self._cache = SimpleCache()
        self._thread = ServerThread(self._start)
        self.url = f"http://127.0.0.1:{self._thread.port}/v1"

    def close(self) -> None:
        self._thread.close()
        self._provider.close()

    async def _start(self) -> tuple[int, Callable[[], Awaitable[None]]]:
        # Whatever a test's provider does is bounded by the config's request_timeout alone.
        session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))
        self._post = session.post
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True, max_field_size=16384
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

        async def stop() -> None:
            await session.close()
            await runner.cleanup()

        return runner.addresses[0][1], stop

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            if request.headers.get("x-portkey-api-key") != self.api_key:
                raise Refused(401, "Invalid API Key. Error Code: 03")
            raw = await request.read()
            if request.method == "POST" and request.path == "/v1/feedback":
                return self._take_feedback(raw)
            if request.method != "POST" or not request.path.startswith(ROUTES):
                raise Refused(404, "Not Found")
            handled = Handled(request.path, request.headers.copy(), object_of(raw, "the body"), raw)
            self.handled.append(handled)
            return await self._answer(request, handled, read_headers(handled, self.saved_configs))
        except Refused as refusal:
            return web.json_response({"status": "failure", "message": str(refusal)}, status=refusal.status)

    def _take_feedback(self, raw: bytes) -> web.Response:
        told = json_of(raw, "the feedback")
        several = told if isinstance(told, list) else [told]
        for one in several:
            check_feedback(one)
        ids = [f"feedback-{len(self.feedback) + number}" for number, _ in enumerate(several, 1)]
        self.feedback.extend(several)
        return web.json_response({"status": "success", "message": "Feedback successfully saved", "feedback_ids": ids})

    async def _answer(self, request: web.Request, handled: Handled, config: Config) -> web.StreamResponse:
        before = [self.guardrails.get(name, 0) for name in config.input_guardrails or ()]
        if DENIED in before:
            return await _send(request, handled, Walked(denial(), "config", 0))
        namespace = request.headers.get("x-portkey-cache-namespace", "")
        key = (request.path, handled.raw, encoded(handled.metadata), namespace)
        refresh = request.headers.get("x-portkey-cache-force-refresh")
        looked = self._cache.look_up(config.cache, key, self.clock(), refresh)
        handled.cache_status = looked.status
        if looked.found is not None:
            found = Said(200, looked.found.content_type, looked.found.body)
            return await _send(request, handled, Walked(found, looked.found.place, 0))

        async def ask(target: Target) -> Said:
            return await self._ask(request, handled, target)

        def keep(body: bytes) -> None:
            answer = Cached(body, walked.answer.content_type, walked.place)
            self._cache.keep(config.cache, key, self.clock(), answer)

        walked = await walk(config, ask, self.draw)
        after = [self.guardrails.get(name, 0) for name in config.output_guardrails or ()]
        # A stream is gone before the output's guardrails could judge it.
        verdicts = before if walked.answer.streamed else before + after
        judgement = Walked(await judged(walked.answer, verdicts), walked.place, walked.retries)
        return await _send(request, handled, judgement, keep)

    async def _ask(self, request: web.Request, handled: Handled, target: Target) -> Said:
        body = target.body(handled.body)
        try:
            provider, key = self._provider_of(target.config, body)
        except Refused as refusal:
            return failure(refusal.status, str(refusal))
        headers = _headers_for(provider, key, request, target)
        sent_key = headers.get("authorization", headers.get("x-api-key", "")).removeprefix("Bearer ")
        attempt = Attempt(target.place, provider, sent_key, body)
        handled.attempts.append(attempt)
        path = request.path.removeprefix("/v1").removeprefix("/proxy")
        said = await self._call(path, body, headers, target.config.request_timeout)
        attempt.status = said.status
        return said

    def _provider_of(self, config: Config, body: JSON) -> tuple[str, str]:
        """The provider's name and the key for it; a model @slug/model names both, and loses its slug."""
        named, model = config.provider or "", str(body.get("model", ""))
        if model.startswith("@") and "/" in model:
            named, body["model"] = model.split("/", 1)
        if config.virtual_key:
            if config.virtual_key not in self.virtual_keys:
                raise Refused(400, "Invalid virtual key passed")
            return self.virtual_keys[config.virtual_key], f"key of {config.virtual_key}"
        if named.startswith("@"):
            if named[1:] not in self.integrations:
                raise Refused(400, f"Invalid provider slug passed: {named}")
            return self.integrations[named[1:]], f"key of {named}"
        if named not in PROVIDERS:
            raise Refused(400, "Invalid provider passed")
        return named, config.api_key or ""

    async def _call(self, path: str, body: JSON, headers: dict[str, str], limit: int | None) -> Said:
        """Asks the provider; a connection that fails is a 500, `limit` milliseconds without headers a 408."""
        try:
            async with asyncio.timeout(limit / 1000 if limit else None):
                response = await self._post(self._provider.url + path, json=body, headers=headers)
        except TimeoutError:
            words = f"Request exceeded the timeout sent in the request: {limit}ms"
            error = {"error": {"message": words, "type": "timeout_error", "param": None, "code": None}}
            return Said(408, "application/json", encoded(error))
        except aiohttp.ClientError:
            return Said(500, "text/plain", b"Message: fetch failed Cause: NA Name: TypeError")
        return Said(
            response.status,
            response.content_type,
            retry_after=response.headers.get("retry-after", ""),
            upstream=response,
        )


def _headers_for(provider: str, key: str, request: web.Request, target: Target) -> dict[str, str]:
    """What the provider gets: on /v1/proxy all that is not Portkey's, where a client's own key goes before ours."""
    headers = {"x-api-key": key} if provider == "anthropic" else {"authorization": f"Bearer {key}"}
    if provider == "anthropic":
        headers["anthropic-version"] = request.headers.get("anthropic-version", "2023-06-01")
    theirs = {name.lower(): value for name, value in request.headers.items()}
    if request.path.startswith("/v1/proxy/"):
        passed = [name for name in theirs if not name.startswith("x-portkey-") and name not in OWN_HEADERS]
    else:
        passed = [name.lower() for name in target.config.forward_headers or () if name.lower() in theirs]
    return {**headers, **{name: theirs[name] for name in passed}}


async def _send(
    request: web.Request, handled: Handled, walked: Walked[Said], keep: Callable[[bytes], None] = lambda body: None
) -> web.StreamResponse:
    said = walked.answer
    handled.status, handled.place = said.status, walked.place
    response = web.StreamResponse(status=said.status, headers={"content-type": said.content_type})
    response.headers["x-portkey-last-used-option-index"] = walked.place
    response.headers["x-portkey-trace-id"] = handled.trace_id
    response.headers["x-portkey-cache-status"] = handled.cache_status
    response.headers["x-portkey-retry-attempt-count"] = str(walked.retries)
    if said.retry_after:
        response.headers["retry-after"] = said.retry_after
    if handled.attempts:
        response.headers["x-portkey-provider"] = handled.attempts[-1].provider
    await response.prepare(request)
    try:
        await pass_on(said, response, keep)
    finally:
        said.close()
    return response
