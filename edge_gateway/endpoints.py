"""The HTTP surface: each form of API and the models under every base URL that clients use, and health."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from edge_gateway import telemetry
from edge_gateway.access.entries import Key
from edge_gateway.call import Call, Reply
from edge_gateway.clients import Clients
from edge_gateway.completion import Completion
from edge_gateway.errors import NOT_FOUND, GatewayError, invalid_request, unknown_model
from edge_gateway.forms import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES, Form
from edge_gateway.json_guard import too_complex
from edge_gateway.listing import listing
from edge_gateway.router_client import RouterClient
from edge_gateway.routing import Routing

Result = TypeVar("Result")
# The client left before it was answered; nobody sees this status but the log.
CLIENT_CLOSED = 499
# What stands before a form's path: clients append it to base URLs with and without a version, and with a session.
BASES = ("/v1", "", "/s/{session}/v1", "/s/{session}")

# A redirect would name whatever host the request names.
surface = APIRouter(redirect_slashes=False)


class ClientGone(Exception):
    """The client closed its connection before the answer."""


class _Relayed(StreamingResponse):
    """A relayed stream, which ends as soon as its client leaves; whoever has to know hears of its end in any case."""

    def __init__(self, reply: Reply, headers: Mapping[str, str]) -> None:
        assert reply.stream is not None  # noqa: S101 - plain replies have a response of their own
        super().__init__(reply.stream, headers=headers, media_type=reply.media_type)
        self._stream = reply.stream
        self._abandon = reply.abandon

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it.

        Starlette would cancel the sending through anyio, which gives way to bytes that are there: while a provider sends in
        each turn of the event loop, a stream would go on for nobody.
        """
        sending = asyncio.ensure_future(self.stream_response(send))
        leaving = asyncio.ensure_future(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            _, ended = await asyncio.gather(leaving, sending, return_exceptions=True)
            await self._stream.aclose()
            self._abandon()
        if isinstance(ended, Exception):
            raise ended


def _serving(form: Form) -> Callable[..., Awaitable[Response]]:
    async def serve(request: Request, session: str = "") -> Response:
        return await _complete(request, form, session)

    return serve


for _form in (CHAT, RESPONSES, MESSAGES, COMPLETIONS, EMBEDDINGS):
    for _base in BASES:
        surface.add_api_route(_base + _form.path, _serving(_form), methods=["POST"], response_model=None)


@surface.post("/v1")
@surface.post("/")
async def chat_completions_after_query(request: Request) -> Response:
    """A base URL with a query, as in /v1?session=ID: clients append the path to the query."""
    query = request.url.query
    if not query.endswith(CHAT.path):
        raise GatewayError(
            NOT_FOUND, "invalid_request_error", "not_found", f"There is no POST {request.url.path} here."
        )
    fields = parse_qs(query.removesuffix(CHAT.path))
    return await _complete(request, CHAT, fields.get("session", [""])[0])


async def models(request: Request) -> Response:
    """The profiles, and the models that can be asked for by name."""
    return JSONResponse({"object": "list", "data": _listed(request)})


async def model(request: Request, name: str) -> Response:
    """One of them."""
    found = next((entry for entry in _listed(request) if entry["id"] == name), None)
    if found is None:
        routing: Routing = request.app.state.routing
        raise unknown_model(name, routing.profiles())
    return JSONResponse(found)


for _base in BASES:
    surface.add_api_route(f"{_base}/models", models, methods=["GET"], response_model=None)
    surface.add_api_route(f"{_base}/models/{{name:path}}", model, methods=["GET"], response_model=None)


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


def _listed(request: Request) -> list[dict[str, Any]]:
    state = request.app.state
    clients: Clients = state.clients
    routing: Routing = state.routing
    key = clients.identify(request.headers)
    permits = key.permits if key else lambda _: True
    return listing(state.router.offer, routing.profiles(), state.providers, permits, int(state.started))


async def _complete(request: Request, form: Form, session: str) -> Response:
    call = Call(b"", request.headers, session, request.client.host if request.client else "")
    try:
        completion: Completion = request.app.state.completion
        key = completion.identify(call, form)
        call.body = await _read_body(request, request.app.state.max_body_bytes)
        reply = await _unless_gone(request, _served(request, call, form, key))
    except GatewayError as error:
        if not call.told:
            telemetry.event(
                "refused",
                request_id=call.headers["x-request-id"],
                key=call.key_name,
                form=call.form,
                status=error.status,
                code=error.code,
                ms=round(call.elapsed() * 1000),
            )
        headers = {**call.headers, **error.headers}
        return Response(form.error_body(error), error.status, headers, "application/json")
    except ClientGone:
        if not call.told:
            telemetry.event("client_gone", request_id=call.headers["x-request-id"], ms=round(call.elapsed() * 1000))
        return Response(status_code=CLIENT_CLOSED)
    if reply.stream is None:
        return Response(reply.body, headers=dict(reply.headers), media_type=reply.media_type)
    headers = {**reply.headers, "cache-control": "no-cache", "x-accel-buffering": "no"}
    return _Relayed(reply, headers)


async def _served(request: Request, call: Call, form: Form, key: Key | None) -> Reply:
    completion: Completion = request.app.state.completion
    try:
        return await completion.serve(call, form, key)
    except RecursionError:
        # What was just shallow enough to be read once may be too deep for whoever reads it again.
        raise too_complex("values nested too deeply") from None


async def _read_body(request: Request, limit: int) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        # Any web page may send the other types to an address on its visitor's machine.
        raise invalid_request("Send the request with Content-Type: application/json.", code="unsupported_media_type")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise invalid_request("Send the request as it is, without Content-Encoding.", code="unsupported_encoding")
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > limit:
        raise _too_large(limit)
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            parts.append(part)
    except ClientDisconnect:
        raise ClientGone from None
    return b"".join(parts)


def _too_large(limit: int) -> GatewayError:
    return invalid_request(f"The request is larger than {limit} bytes; send less context.", code="request_too_large")


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
        task.cancel()
        gone.cancel()
        # An error would hold the task that holds it, and the request's body along with both, until a collection.
        del task, gone


async def _gone(request: Request) -> None:
    # The body has been read, so all that can come is the disconnect.
    while (await request.receive())["type"] != "http.disconnect":
        pass
