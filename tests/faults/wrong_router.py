"""A gRPC server that answers the router's contract as no router should; real routers cannot be made to."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc

from protos.router.v1 import router_pb2 as pb
from tests.fakes.threads import ServerThread

# What it answers to SelectModel, in bytes.
Answer = Callable[[pb.SelectModelRequest, grpc.aio.ServicerContext], Awaitable[bytes]]
SELECT = "/router.v1.RouterService/SelectModel"


def refuse(code: grpc.StatusCode) -> Answer:
    """This status."""

    async def answer(request: pb.SelectModelRequest, context: grpc.aio.ServicerContext) -> bytes:
        await context.abort(code, "made up")

    return answer


def choose(model: str) -> Answer:
    """This model, whatever was asked for."""

    async def answer(request: pb.SelectModelRequest, context: grpc.aio.ServicerContext) -> bytes:
        return pb.SelectModelResponse(decision_id="dec_wrong", model=model).SerializeToString()

    return answer


async def garbage(request: pb.SelectModelRequest, context: grpc.aio.ServicerContext) -> bytes:
    """Bytes that are no message."""
    return b"\xff\xff\xff\xff no protobuf"


class WrongRouter:
    """Serves on `port`, SelectModel alone; counts the calls, and those that were called off while it thought."""

    def __init__(self) -> None:
        self.answer: Answer = self.think
        self.calls = 0
        self.called_off = 0
        self._thread = ServerThread(self._start)
        self.port = self._thread.port

    def close(self) -> None:
        self._thread.close()

    async def think(self, request: pb.SelectModelRequest, context: grpc.aio.ServicerContext) -> bytes:
        """No answer for ten seconds."""
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            self.called_off += 1
            raise
        return b""

    async def _start(self) -> tuple[int, Callable[[], Awaitable[None]]]:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((_Handlers(self),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()

        async def stop() -> None:
            await server.stop(0)

        return port, stop

    async def select(self, request: pb.SelectModelRequest, context: grpc.aio.ServicerContext) -> bytes:
        self.calls += 1
        return await self.answer(request, context)


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, router: WrongRouter) -> None:
        self._router = router

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if handler_call_details.method != SELECT:
            return None
        return grpc.unary_unary_rpc_method_handler(
            self._router.select, request_deserializer=pb.SelectModelRequest.FromString
        )
