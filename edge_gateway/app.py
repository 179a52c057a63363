"""Wires the edge: one app with its router channel, its connection pool to Portkey, and errors in OpenAI's form."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from edge_gateway import settings as settings_module
from edge_gateway import telemetry
from edge_gateway.completion import Completion, TimeLimits
from edge_gateway.conversations import Conversations
from edge_gateway.endpoints import surface
from edge_gateway.errors import NOT_FOUND, GatewayError
from edge_gateway.feedback import Feedback
from edge_gateway.outcomes import Outcomes
from edge_gateway.portkey import Portkey
from edge_gateway.providers import reachable
from edge_gateway.router_client import RouterClient, channel_credentials
from edge_gateway.routing import Routing
from edge_gateway.settings import Config, Settings

SERVER_ERROR = 500


def create(settings: Settings, config: Config) -> FastAPI:
    """The application; its connections are opened when it starts and closed when it stops."""
    shipped = settings_module.load_config("").providers
    files = settings_module.certificate_files(settings)
    providers = reachable(config.providers, shipped, settings_module.environment())

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        key = settings.portkey_key.get_secret_value() if settings.portkey_key else ""
        portkey = Portkey(settings.portkey_base_url, key, settings.idle_timeout)
        token = settings.router_token.get_secret_value() if settings.router_token else ""
        router = RouterClient(settings.router, settings.router_deadline, channel_credentials(files), token)
        feedback = Feedback(settings.feedback_base_url, key) if settings.feedback_base_url else None
        outcomes = Outcomes(router, feedback)
        conversations = Conversations(settings.conversations, settings.conversation_idle)
        app.state.router = router
        routing = Routing(router, providers, config.providers, config.default_order, settings.routing_characters)
        app.state.routing = routing
        limits = TimeLimits(settings.first_byte_timeout, settings.answer_timeout, settings.total_timeout)
        app.state.completion = Completion(routing, portkey, outcomes, conversations, providers, limits)
        refreshing = asyncio.create_task(router.keep_refreshing())
        telemetry.event("listening", address=settings.listen, router=settings.router, providers=sorted(providers))
        yield
        refreshing.cancel()
        await outcomes.close()
        await portkey.close()
        await router.close()

    app = FastAPI(title="edge_gateway", lifespan=lifespan, openapi_url=None)
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
    where = f"{request.method} {request.url.path[:100]}"
    text = f"There is no {where} here. Served are POST /v1/chat/completions and GET /v1/models."
    kind = GatewayError(status, "invalid_request_error", "not_found" if status == NOT_FOUND else "not_allowed", text)
    headers = dict(getattr(error, "headers", None) or {})
    return Response(kind.body(), status, headers, "application/json")


async def _gateway_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)  # noqa: S101 - registered for this type alone
    return Response(error.body(), error.status, error.headers, "application/json")


async def _bug(request: Request, error: Exception) -> Response:
    """A fault of ours: said as such, in a form that clients can read; the traceback goes to the log alone."""
    text = "The gateway made a mistake of its own. Try again; if it stays so, its log has the details."
    answer = GatewayError(SERVER_ERROR, "server_error", "internal_error", text)
    return Response(answer.body(), SERVER_ERROR, media_type="application/json")
