"""The HTTP surface: OpenAI's chat completions and models under every base URL that Aider uses, and health."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TypeVar
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.requests import ClientDisconnect

from edge_gateway import telemetry
from edge_gateway.call import Call
from edge_gateway.completion import Completion
from edge_gateway.errors import NOT_FOUND, GatewayError, invalid_request
from edge_gateway.router_client import RouterClient
from edge_gateway.routing import Routing

Result = TypeVar("Result")
# The client left before it was answered; nobody sees this status but the log.
CLIENT_CLOSED = 499

surface = APIRouter()


class ClientGone(Exception):
    """The client closed its connection before the answer."""


@surface.post("/v1/chat/completions")
@surface.post("/chat/completions")
@surface.post("/s/{session}/v1/chat/completions")
@surface.post("/s/{session}/chat/completions")
async def chat_completions(request: Request, session: str = "") -> Response:
    """An OpenAI chat completion, routed."""
    return await _complete(request, session)


@surface.post("/v1")
@surface.post("/")
async def chat_completions_after_query(request: Request) -> Response:
    """A base URL with a query, as in /v1?session=ID: clients append the path to the query."""
    query = request.url.query
    if not query.endswith("/chat/completions"):
        raise GatewayError(
            NOT_FOUND, "invalid_request_error", "not_found", f"There is no POST {request.url.path} here."
        )
    fields = parse_qs(query.removesuffix("/chat/completions"))
    return await _complete(request, fields.get("session", [""])[0])


@surface.get("/v1/models")
@surface.get("/models")
@surface.get("/s/{session}/v1/models")
async def models(request: Request, session: str = "") -> Response:
    """The profiles, and the models that can be asked for by name."""
    routing: Routing = request.app.state.routing
    router: RouterClient = request.app.state.router
    offer, providers = router.offer, request.app.state.providers
    created = int(request.app.state.started)
    profiles = [
        {"id": name, "object": "model", "created": created, "owned_by": "router", "description": description}
        for name, description in (
            [(p.name, p.description) for p in offer.profiles.values()]
            or [(name, "served by the default order") for name in routing.profiles()]
        )
    ]
    named = [
        {
            "id": model.id,
            "object": "model",
            "created": created,
            "owned_by": model.id.split("/", 1)[0],
            "context_length": model.context_tokens,
            "max_output_tokens": model.max_output_tokens,
            "pricing": {
                "input_usd_per_mtok": model.input_usd_per_mtok,
                "output_usd_per_mtok": model.output_usd_per_mtok,
            },
        }
        for model in offer.models.values()
        if model.id.split("/", 1)[0] in providers
    ]
    return JSONResponse({"object": "list", "data": profiles + named})


@surface.get("/healthz")
async def healthz() -> Response:
    """The process runs."""
    return JSONResponse({"status": "ok"})


@surface.get("/readyz")
async def readyz(request: Request) -> Response:
    """Requests can be served; that holds without a router too, and the answer says which."""
    router: RouterClient = request.app.state.router
    decisions = "router" if router.offer.profiles else "default order until the router answers"
    return JSONResponse({"status": "ok", "decisions": decisions, "providers": sorted(request.app.state.providers)})


async def _complete(request: Request, session: str) -> Response:
    call = Call(b"", request.headers, session, request.client.host if request.client else "")
    try:
        call.body = await _read_body(request, request.app.state.max_body_bytes)
        completion: Completion = request.app.state.completion
        reply = await _unless_gone(request, completion.serve(call))
    except GatewayError as error:
        if not call.told:
            telemetry.event(
                "refused",
                request_id=call.headers["x-request-id"],
                status=error.status,
                code=error.code,
                ms=round(call.elapsed() * 1000),
            )
        headers = {**call.headers, **error.headers}
        return Response(error.body(), error.status, headers, "application/json")
    except ClientGone:
        if not call.told:
            telemetry.event("client_gone", request_id=call.headers["x-request-id"], ms=round(call.elapsed() * 1000))
        return Response(status_code=CLIENT_CLOSED)
    if reply.stream is None:
        return Response(reply.body, headers=dict(reply.headers), media_type=reply.media_type)
    headers = {**reply.headers, "cache-control": "no-cache", "x-accel-buffering": "no"}
    return StreamingResponse(reply.stream, headers=headers, media_type=reply.media_type)


async def _read_body(request: Request, limit: int) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        # Any web page may send the other types to an address on its visitor's machine.
        raise invalid_request("Send the request with Content-Type: application/json.", code="unsupported_media_type")
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                text = f"The request is larger than {limit} bytes; send less context."
                raise invalid_request(text, code="request_too_large")
            parts.append(part)
    except ClientDisconnect:
        raise ClientGone from None
    return b"".join(parts)


async def _unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """Do the work, but stop as soon as the client closes its connection: nobody waits for the answer any more."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, GatewayError):
            await task
        raise ClientGone
    finally:
        for pending in (task, gone):
            pending.cancel()


async def _gone(request: Request) -> None:
    # The body has been read, so all that can come is the disconnect.
    while (await request.receive())["type"] != "http.disconnect":
        pass
