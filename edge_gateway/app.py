"""Wires the edge: one app with its router channel, its connection pool to Portkey, and errors in OpenAI's form."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from edge_gateway import openapi, telemetry
from edge_gateway import settings as settings_module
from edge_gateway.access.admission import Admission
from edge_gateway.access.entries import InvalidKeys
from edge_gateway.access.keys import Keys
from edge_gateway.access.limiter import open_limiter
from edge_gateway.access.reconciliation import Reconciler
from edge_gateway.adaptations import Adaptations
from edge_gateway.cache import Answers, MemoryStore, Store
from edge_gateway.circuits import Circuits
from edge_gateway.clients import Clients
from edge_gateway.completion import Completion
from edge_gateway.conversations import Conversations
from edge_gateway.dispatch import Dispatcher, TimeLimits
from edge_gateway.endpoints import find_serving, surface
from edge_gateway.errors import NOT_FOUND, SERVER_ERROR, GatewayError, internal, scrub
from edge_gateway.feedback import Feedback
from edge_gateway.forms import error_body
from edge_gateway.outcomes import Outcomes
from edge_gateway.overload import Shedding, Valve
from edge_gateway.portkey import Portkey
from edge_gateway.portkey_config import Emitter, Features, Hosted, OpenSource, unheeded
from edge_gateway.providers import Providers, reachable
from edge_gateway.router_client import RouterClient
from edge_gateway.router_credentials import RouterCredentials
from edge_gateway.routing import Routing
from edge_gateway.settings import Config, InvalidSetting, Settings

if TYPE_CHECKING:
    from edge_gateway.circuit_news import CircuitNews

# What is told of keys, limits, kept answers and certificates that nobody has to look at.
GOOD_NEWS = frozenset({"keys_loaded", "spending_known", "limits_with_redis", "cache_with_redis", "certificate_loaded"})


class _House:
    """The parts of a running edge, each made once and given what it needs."""

    def __init__(
        self,
        settings: Settings,
        emitter: Emitter,
        config: Config,
        providers: Providers,
        router: RouterClient,
        keys: Keys | None,
    ) -> None:
        """Made inside the running event loop, as connections have to be."""
        key = settings.portkey_key.get_secret_value() if settings.portkey_key else ""
        redis = settings.redis_url.get_secret_value() if settings.redis_url else ""
        limits = TimeLimits(
            settings.first_byte_timeout, settings.first_token_timeout, settings.answer_timeout, settings.total_timeout
        )
        gateway_token = settings.gateway_token.get_secret_value() if settings.gateway_token else ""
        self._portkey = Portkey(settings.portkey_base_url, key, settings.idle_timeout, gateway_token)
        self._answers = Answers(_answer_store(settings, redis), settings.cache_seconds, settings.cache_answer_bytes)
        feedback = Feedback(settings.feedback_base_url, key) if settings.feedback_base_url else None
        self._outcomes = Outcomes(router, self._answers, feedback)
        self._limiter = open_limiter(redis, _tell) if keys else None
        admission = Admission(self._limiter, settings.limit_wait) if self._limiter else None
        self._reconciler = Reconciler(router.spending, self._limiter, _tell) if self._limiter else None
        self.clients = Clients(keys, admission, lambda: router.offer)
        self.routing = Routing(
            router,
            providers,
            config.providers,
            config.default_order,
            settings.routing_characters,
            emitter.translates,
            time.monotonic,
        )
        circuits = Circuits(time.monotonic, settings.circuit_failures, settings.retry_share)
        self._news = _circuit_news(redis, circuits)
        rules = Adaptations(config.adaptations)
        self.dispatcher = Dispatcher(self._portkey, providers, rules, emitter, circuits, limits)
        self.completion = Completion(
            self.clients,
            self.routing,
            self.dispatcher,
            self._outcomes,
            Conversations(settings.conversations, settings.conversation_idle),
            self._answers,
            settings.total_timeout,
            cached_by_portkey=bool(emitter.features.cache),
        )

    def start(self) -> None:
        """Begin what runs beside the requests."""
        if self._reconciler is not None:
            self._reconciler.start()
        if self._news is not None:
            self._news.start()

    def cut(self) -> None:
        """End every answer that is still under way, each with a word that says so."""
        self._portkey.cut()

    async def close(self) -> None:
        """Tell what is still to be told, and close all connections."""
        await self._outcomes.close()
        await self._portkey.close()
        await self._answers.close()
        if self._news is not None:
            await self._news.close()
        if self._reconciler is not None and self._limiter is not None:
            await self._reconciler.close()
            await self._limiter.close()


class Edge(FastAPI):
    """FastAPI, but requests to models go straight to where they are served: its way there takes longer than all else."""

    def __init__(self, shedding: Shedding, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> None:
        """`shedding`: by which the connections refuse, and what is served is counted."""
        super().__init__(title="edge_gateway", lifespan=lifespan, openapi_url=None, redirect_slashes=False)
        self.shedding = shedding

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; or live, as long as the server does."""
        if scope["type"] == "http" and scope["method"] == "POST":
            await self.shedding.serve(self._serve, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The API as OpenAPI describes it; it is not served. FastAPI's own would know no request's body."""
        routes = [route for route in surface.routes if isinstance(route, Route)]
        return openapi.document((method, route.path) for route in routes for method in route.methods or ())

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = find_serving(scope["path"])
        if found is None:
            await super().__call__(scope, receive, send)
            return
        serving, scope["path_params"] = found
        scope["app"] = self
        await serving(scope, receive, send)


def create(settings: Settings, config: Config) -> Edge:
    """The application; its connections are opened when it starts and closed when it stops.

    InvalidSetting names the setting that does not allow it.
    """
    settings_module.check_exposure(settings)
    shipped = settings_module.load_config("").providers
    credentials = RouterCredentials(settings)
    providers = reachable(config.providers, shipped, settings_module.environment(), hosted=settings.hosted)
    keys = _keys(settings)
    emitter = _emitter(settings, config)
    valve = Valve(settings.max_lag)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        token = settings.router_token.get_secret_value() if settings.router_token else ""
        router = RouterClient(
            settings.router, settings.router_deadline, credentials.current, token, lambda: valve.wide_open
        )
        house = _House(settings, emitter, config, providers, router, keys)
        app.state.router = router
        app.state.routing = house.routing
        app.state.clients = house.clients
        app.state.completion = house.completion
        app.state.dispatcher = house.dispatcher
        app.state.cut = house.cut
        beside = [
            asyncio.create_task(work)
            for work in (router.keep_refreshing(), credentials.follow(router.renew, _tell), valve.watch())
        ]
        house.start()
        telemetry.event("listening", address=settings.listen, router=settings.router, providers=sorted(providers))
        yield
        for task in beside:
            task.cancel()
        await house.close()
        await router.close()

    app = Edge(Shedding(valve, settings.max_requests, lambda: app.state.dispatcher.waiting), lifespan)
    app.state.providers = providers
    app.state.started = time.time()
    app.state.max_body_bytes = settings.max_body_bytes
    app.include_router(surface)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(GatewayError, _gateway_error)
    app.add_exception_handler(Exception, _bug)
    return app


async def _http_error(request: Request, error: Exception) -> Response:
    """Unknown paths and methods, in OpenAI's form."""
    status = error.status_code if isinstance(error, HTTPException) else SERVER_ERROR
    # What the server routed by; a URL put together again from headers may say something else.
    where = scrub(f"{request.method} {request.scope['path'][:100]}")
    text = f"There is no {where} here. Served are POST /v1/chat/completions, /v1/responses, /v1/messages, "
    text += "/v1/completions and /v1/embeddings, and GET /v1/models."
    kind = GatewayError(status, "invalid_request_error", "not_found" if status == NOT_FOUND else "not_allowed", text)
    headers = dict(getattr(error, "headers", None) or {})
    return Response(error_body(request.scope["path"], kind), status, headers, "application/json")


async def _gateway_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)  # noqa: S101 - registered for this type alone
    return Response(error_body(request.scope["path"], error), error.status, error.headers, "application/json")


async def _bug(request: Request, error: Exception) -> Response:
    """A fault of ours: said as such, in a form that clients can read; the traceback goes to the log alone."""
    answer = internal()
    return Response(error_body(request.scope["path"], answer), answer.status, media_type="application/json")


def _keys(settings: Settings) -> Keys | None:
    if not settings.api_keys_file:
        return None
    try:
        return Keys(Path(settings.api_keys_file), _tell)
    except InvalidKeys as error:
        raise InvalidSetting(f'EDGE_API_KEYS_FILE: {error} (`make keys ARGS="make NAME"` writes such a file)') from None


def _emitter(settings: Settings, config: Config) -> Emitter:
    cache = config.portkey.cache.model_dump(exclude_none=True) if config.portkey.cache and settings.hosted else {}
    features = Features(cache, config.portkey.input_guardrails, config.portkey.output_guardrails)
    for name, guardrails in (("input", features.input_guardrails), ("output", features.output_guardrails)):
        if not settings.hosted and (problem := unheeded(guardrails)):
            raise InvalidSetting(f"EDGE_CONFIG: portkey.{name}_guardrails: {problem}.")
    return Hosted(features) if settings.hosted else OpenSource(features)


def _answer_store(settings: Settings, redis: str) -> Store:
    if not redis:
        return MemoryStore(settings.cache_bytes)
    # The client takes a fifth of a second to import, so only an edge that has a Redis pays for it.
    from edge_gateway.cache.redis import RedisStore  # noqa: PLC0415

    return RedisStore(redis, time.monotonic, _tell)


def _circuit_news(redis: str, circuits: Circuits) -> CircuitNews | None:
    if not redis:
        return None
    from edge_gateway.circuit_news import CircuitNews  # noqa: PLC0415

    return CircuitNews(redis, circuits)


def _tell(name: str, fields: Mapping[str, object]) -> None:
    tell = telemetry.event if name in GOOD_NEWS else telemetry.problem
    tell(name, **fields)
