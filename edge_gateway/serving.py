"""Serves a request to a model over plain ASGI: reads its body, has it completed, and sends what comes to whom waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from edge_gateway import telemetry
from edge_gateway.access.entries import Key
from edge_gateway.call import Call, Reply, RequestHeaders
from edge_gateway.completion import Completion
from edge_gateway.errors import CLIENT_CLOSED, NOT_FOUND, GatewayError, internal, invalid_request
from edge_gateway.forms import CHAT, Form, error_body
from edge_gateway.json_guard import too_complex
from edge_gateway.relay import EVENT_STREAM, JSON
from edge_gateway.server.connection import GONE
from edge_gateway.tracing import spans
from edge_gateway.tracing.span import Span, Tracer

Result = TypeVar("Result")
# Has something called once the client of a request is gone; None for nothing.
Gone = Callable[[Callable[[], object] | None], None]
OK = 200
# As a stream's media type is told.
STREAMED = f"{EVENT_STREAM}; charset=utf-8"


class ClientGone(Exception):
    """The client closed its connection before the answer."""


class Serving:
    """The endpoint of one form of API."""

    def __init__(self, form: Form) -> None:
        self._form = form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await _serve(scope, receive, send, self._form, scope["path_params"].get("session", ""))


class ServingAfterQuery:
    """The endpoint of a base URL with a query, as in /v1?session=ID: clients append the path to the query."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        query = scope["query_string"].decode("latin-1")
        if not query.endswith(CHAT.path):
            text = f"There is no POST {scope['path']} here."
            error = GatewayError(NOT_FOUND, "invalid_request_error", "not_found", text)
            await answer(send, error.status, {}, error.body(), JSON)
            return
        fields = parse_qs(query.removesuffix(CHAT.path))
        await _serve(scope, receive, send, CHAT, fields.get("session", [""])[0])


async def answer(send: Send, status: int, headers: Mapping[str, str], body: bytes, media_type: str = "") -> None:
    """Send a whole answer."""
    told = _told(headers)
    told.append((b"content-length", b"%d" % len(body)))
    if media_type:
        told.append((b"content-type", media_type.encode()))
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})


def _serve(scope: Scope, receive: Receive, send: Send, form: Form, session: str) -> Awaitable[object]:
    client = scope["client"]
    call = Call(b"", RequestHeaders(scope["headers"]), session, client[0] if client else "")
    tracer: Tracer = scope["app"].state.tracer
    answered = _answered(scope, receive, send, call, form)
    return _traced(spans.request_begun(tracer, scope, call), call, answered) if tracer.traces else answered


async def _traced(span: Span, call: Call, answered: Awaitable[tuple[int, str]]) -> None:
    """The same, within a span."""
    call.span = span
    bug = internal()
    status, problem = bug.status, bug.code
    try:
        status, problem = await answered
    finally:
        spans.request_ended(span, status, problem)


async def _answered(scope: Scope, receive: Receive, send: Send, call: Call, form: Form) -> tuple[int, str]:
    """The status that the request was answered with, to the end, and the code of its error, if it was one."""
    try:
        reply = await _replied(scope, receive, call, form)
    except GatewayError as error:
        _tell_refused(call, error)
        await answer(send, error.status, {**call.headers, **error.headers}, form.error_body(error), JSON)
        return error.status, error.code
    except ClientGone:
        if not call.told:
            telemetry.event(
                "client_gone",
                request_id=call.headers["x-request-id"],
                form=call.form,
                stream=call.streamed,
                model_class=call.model_class,
                ms=round(call.elapsed() * 1000),
            )
        await answer(send, CLIENT_CLOSED, {}, b"")
        return CLIENT_CLOSED, ""
    except Exception:
        # A fault of ours; its traceback goes to the log alone.
        bug = internal()
        _tell_refused(call, bug)
        await answer(send, bug.status, {}, error_body(scope["path"], bug), JSON)
        raise
    if reply.stream is None:
        await answer(send, OK, reply.headers, reply.body, reply.media_type)
    else:
        await _relay(scope["extensions"][GONE], send, reply)
    return OK, ""


async def _replied(scope: Scope, receive: Receive, call: Call, form: Form) -> Reply:
    state = scope["app"].state
    completion: Completion = state.completion
    key = completion.identify(call, form)
    call.body = await _read_body(call.request_headers, receive, state.max_body_bytes)
    call.read_at = time.monotonic()
    return await _unless_gone(scope["extensions"][GONE], _completed(completion, call, form, key))


async def _completed(completion: Completion, call: Call, form: Form, key: Key | None) -> Reply:
    try:
        return await completion.serve(call, form, key)
    except RecursionError:
        # What was just shallow enough to be read once may be too deep for whoever reads it again.
        raise too_complex("values nested too deeply") from None


async def _read_body(headers: Mapping[str, str], receive: Receive, limit: int) -> bytes:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        # Any web page may send the other types to an address on its visitor's machine.
        raise invalid_request("Send the request with Content-Type: application/json.", code="unsupported_media_type")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise invalid_request("Send the request as it is, without Content-Encoding.", code="unsupported_encoding")
    announced = headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        part: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int) -> GatewayError:
    return invalid_request(f"The request is larger than {limit} bytes; send less context.", code="request_too_large")


async def _unless_gone(gone: Gone, work: Awaitable[Result]) -> Result:
    """Do the work, but stop as soon as the client closes its connection: nobody waits for the answer any more."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one
    left = False

    def leave() -> None:
        nonlocal left
        left = True
        task.cancel()

    gone(leave)
    try:
        return await work
    except (asyncio.CancelledError, GatewayError):
        if not left:
            raise
        task.uncancel()
        raise ClientGone from None
    finally:
        gone(None)


async def _relay(gone: Gone, send: Send, reply: Reply) -> None:
    """Send a stream, which ends as soon as its client leaves; whoever has to know hears of its end in any case."""
    assert reply.stream is not None  # noqa: S101 - what is whole is not relayed
    headers = {**reply.headers, "cache-control": "no-cache", "x-accel-buffering": "no", "content-type": STREAMED}
    start: dict[str, Any] = {"type": "http.response.start", "status": OK, "headers": _told(headers)}
    try:
        await _unless_gone(gone, _sent(send, start, reply.stream))
    except ClientGone:
        pass
    finally:
        await reply.stream.aclose()
        reply.abandon()


async def _sent(send: Send, start: dict[str, Any], stream: AsyncIterator[bytes]) -> None:
    await send(start)
    async for chunk in stream:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _told(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _tell_refused(call: Call, error: GatewayError) -> None:
    if not call.told:
        telemetry.event(
            "refused",
            request_id=call.headers["x-request-id"],
            key=call.key_name,
            form=call.form,
            stream=call.streamed,
            model_class=call.model_class,
            status=error.status,
            code=error.code,
            ms=round(call.elapsed() * 1000),
        )
