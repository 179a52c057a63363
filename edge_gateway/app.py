"""Wires the edge: one app with its router channel, its connection pool to Portkey, and errors in OpenAI's form."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Container, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from edge_gateway import openapi, parts, telemetry
from edge_gateway import settings as settings_module
from edge_gateway.access.admission import Admission
from edge_gateway.access.keys import Keys
from edge_gateway.access.limiter import open_limiter
from edge_gateway.access.reconciliation import Reconciler
from edge_gateway.adaptations import Adaptations
from edge_gateway.cache import Answers
from edge_gateway.circuits import Circuits
from edge_gateway.clients import Clients
from edge_gateway.completion import Completion
from edge_gateway.conversations import Conversations
from edge_gateway.dispatch import Dispatcher, TimeLimits
from edge_gateway.endpoints import find_serving, surface
from edge_gateway.errors import NOT_FOUND, SERVER_ERROR, GatewayError, internal, scrub
from edge_gateway.feedback import Feedback
from edge_gateway.forms import CHAT, error_body
from edge_gateway.outcomes import Outcomes
from edge_gateway.portkey.client import Portkey
from edge_gateway.portkey.config import Emitter
from edge_gateway.providers import Providers, reachable
from edge_gateway.router_client.client import RouterClient
from edge_gateway.router_client.credentials import RouterCredentials, together
from edge_gateway.routing import Routing
from edge_gateway.server.overload import Shedding, Valve
from edge_gateway.settings import Config, Settings

if TYPE_CHECKING:
    from edge_gateway.metrics import Metrics

# FastAPI would trace and measure by itself where the same variables ask for it, bodies included; what is told is told here.
UNTOLD: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


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
        self._answers = Answers(
            parts.make_answer_store(settings, redis), settings.cache_seconds, settings.cache_answer_bytes
        )
        feedback = Feedback(settings.feedback_base_url, key) if settings.feedback_base_url else None
        self._outcomes = Outcomes(router, self._answers, feedback)
        self._limiter = open_limiter(redis, parts.tell, settings.redis_timeout) if keys else None
        admission = Admission(self._limiter, settings.limit_wait) if self._limiter else None
        self._reconciler = Reconciler(router.spending, self._limiter, parts.tell) if self._limiter else None
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
        self._circuits = circuits = Circuits(time.monotonic, settings.circuit_failures, settings.retry_share)
        self._news = parts.make_circuit_news(redis, circuits)
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

    async def be_watched(self, metrics: Metrics, shedding: Shedding, models: Callable[[], Container[str]]) -> None:
        """Have what goes on here counted, until cancelled; `models`: those that may be named."""
        from edge_gateway.metrics import Watched  # noqa: PLC0415 - it is there already

        def under_way() -> Mapping[str, int]:
            waiting = self.dispatcher.waiting
            return {"request": shedding.under_way, "upstream": waiting, "report": self._outcomes.under_way}

        circuits, retries = self._circuits, self.dispatcher.retries
        watched = Watched(
            under_way, lambda: shedding.refused, lambda: dict(retries), lambda: circuits.budget, circuits.states
        )
        await metrics.watch(watched, models)

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
        super().__init__(
            title="edge_gateway", lifespan=lifespan, openapi_url=None, redirect_slashes=False, telemetry=UNTOLD
        )
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
    keys = parts.read_keys(settings)
    emitter = parts.make_emitter(settings, config)
    valve = Valve(settings.max_lag)
    tracer = parts.make_tracer(settings)
    open_page = parts.make_page(settings, credentials, keys)
    shedding = Shedding(valve, settings.max_requests, lambda: app.state.dispatcher.waiting)
    metrics = parts.make_metrics(settings)
    ordered = frozenset(itertools.chain.from_iterable(config.default_order.values()))

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        token = settings.router_token.get_secret_value() if settings.router_token else ""
        router = RouterClient(
            settings.router,
            settings.router_deadline,
            credentials.current,
            token,
            lambda: valve.wide_open,
            settings.router_hedge,
            settings.router_ping,
        )
        house = _House(settings, emitter, config, providers, router, keys)
        app.state.router = router
        app.state.routing = house.routing
        app.state.clients = house.clients
        app.state.completion = house.completion
        app.state.dispatcher = house.dispatcher
        app.state.cut = house.cut
        page = open_page(lambda: house.routing.speakers(CHAT)) if open_page else None
        renew = together(router.renew, *([page.renew] if page else ()))

        beside = [
            asyncio.create_task(work)
            for work in (router.keep_refreshing(), credentials.follow(renew, parts.tell), valve.watch())
        ]
        if metrics is not None:
            beside.append(
                asyncio.create_task(house.be_watched(metrics, shedding, lambda: router.offer.models or ordered))
            )
        house.start()
        if page:
            page.start()
            telemetry.event("page_listening", address=settings.page_listen)
        telemetry.event("listening", address=settings.listen, router=settings.router, providers=sorted(providers))
        yield
        for task in beside:
            task.cancel()
        if page:
            await page.close()
        await house.close()
        await router.close()
        await tracer.close()

    app = Edge(shedding, lifespan)
    app.state.tracer = tracer
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
