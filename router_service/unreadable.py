"""Answers INVALID_ARGUMENT to a message that cannot be read, where gRPC by itself says UNKNOWN and logs a traceback."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from router_service import telemetry
from router_service.errors import RouterError
from router_service.refusals import Context, abort

# The stubs' type has parameters, the library's has none.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

# Stands where a message would, until there is a context to refuse it in.
_UNREADABLE: Final = object()
_MAKERS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class Unreadable(RouterError):
    """The bytes of the call are no message of the contract."""

    status = "INVALID_ARGUMENT"
    reason = "UNREADABLE_MESSAGE"

    def __init__(self) -> None:
        super().__init__("The request is no message of this method, or holds text that is not UTF-8.")


class UnreadableMessages(grpc.aio.ServerInterceptor):
    """Is the last of the interceptors: whoever may not call is told that, whatever was sent."""

    def __init__(self) -> None:
        self._guarded: dict[str, tuple[Handler, Handler]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler, which reads no further than it can."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_deserializer is None:
            # No such method, or one that takes bytes.
            return handler
        method = handler_call_details.method
        known = self._guarded.get(method)
        if known is None or known[0] is not handler:
            # Only methods that exist have a handler, so there are never many.
            known = handler, _guard(handler, handler.request_deserializer, method.rpartition("/")[2])
            self._guarded[method] = known
        return known[1]


def _guard(handler: Handler, deserialize: Callable[[bytes], object], rpc: str) -> Handler:
    def read(raw: bytes) -> object:
        try:
            return deserialize(raw)
        except DecodeError:
            return _UNREADABLE

    streams = bool(handler.request_streaming), bool(handler.response_streaming)
    behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    guarded: Handler = _MAKERS[streams](
        _checked(behaviour, rpc, many=streams[0]),
        request_deserializer=read,
        response_serializer=handler.response_serializer,
    )
    return guarded


def _checked(behaviour: Any, rpc: str, *, many: bool) -> Any:
    """The method, which never sees what cannot be read."""

    async def readable(request: Any, context: Context) -> Any:
        if request is _UNREADABLE:
            telemetry.refused(rpc, Unreadable.reason, 0)
            await abort(context, Unreadable())
        return request

    async def each(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        async for request in requests:
            yield await readable(request, context)

    if inspect.isasyncgenfunction(behaviour):

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            request = each(request, context) if many else await readable(request, context)
            async with contextlib.aclosing(behaviour(request, context)) as answers:
                async for answer in answers:
                    yield answer

        return stream

    async def call(request: Any, context: Context) -> Any:
        return await behaviour(each(request, context) if many else await readable(request, context), context)

    return call
