"""Servers that are no router of today: older ones, silent ones, and those that answer nonsense."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc

# Field 1000, a number.
LATER_FIELD = b"\xc0\x3e\x01"


class Older(router_pb2_grpc.RouterServiceServicer):
    """Knows no call at all."""


class OfRelease(Older):
    """Knows no call but the one that says its release."""

    def GetServerInfo(self, request: pb.GetServerInfoRequest, context: Any) -> pb.GetServerInfoResponse:
        return pb.GetServerInfoResponse(release="0.9.9", contract_revision=7)


class Slow(Older):
    """Answers the first of many, and is not done with the others until the caller leaves."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.left = threading.Event()

    def SelectModel(self, request: pb.SelectModelRequest, context: Any) -> pb.SelectModelResponse:
        context.add_callback(self.left.set)
        self.asked.set()
        self.left.wait(30)
        return pb.SelectModelResponse()

    def SelectModelStream(self, request: pb.SelectModelStreamRequest, context: Any) -> Iterator[Any]:
        context.add_callback(self.left.set)
        first = pb.SelectModelStreamResult(position=0, decision=pb.SelectModelResponse(model="a/b"))
        yield pb.SelectModelStreamResponse(results=[first])
        self.left.wait(30)

    def WatchDecisions(self, request: pb.WatchDecisionsRequest, context: Any) -> Iterator[Any]:
        """Sends no headers, so that no watch begins."""
        context.add_callback(self.left.set)
        self.asked.set()
        self.left.wait(30)
        yield from ()


class Refusing(Older):
    """Refuses each of many, and tells those who watch nothing until they leave."""

    def SelectModelStream(self, request: pb.SelectModelStreamRequest, context: Any) -> Iterator[Any]:
        refusal = pb.Refusal(code=grpc.StatusCode.NOT_FOUND.value[0], message="not today")
        for position in range(len(request.requests)):
            yield pb.SelectModelStreamResponse(results=[pb.SelectModelStreamResult(position=position, refusal=refusal)])

    def WatchDecisions(self, request: pb.WatchDecisionsRequest, context: Any) -> Iterator[Any]:
        left = threading.Event()
        context.add_callback(left.set)
        context.send_initial_metadata(())
        left.wait(30)
        yield from ()


class Newer(Older):
    """Answers with words and with fields that came after today's contract."""

    def SelectModel(self, request: pb.SelectModelRequest, context: Any) -> pb.SelectModelResponse:
        known = pb.SelectModelResponse(model="a/b", source=99)
        return pb.SelectModelResponse.FromString(known.SerializeToString() + LATER_FIELD)

    def SelectModels(self, request: pb.SelectModelsRequest, context: Any) -> pb.SelectModelsResponse:
        return pb.SelectModelsResponse(results=[pb.SelectModelsResult.FromString(LATER_FIELD)])

    def SelectModelStream(self, request: pb.SelectModelStreamRequest, context: Any) -> Iterator[Any]:
        yield pb.SelectModelStreamResponse(results=[pb.SelectModelStreamResult.FromString(LATER_FIELD)])

    def ReportOutcomes(self, request: pb.ReportOutcomesRequest, context: Any) -> pb.ReportOutcomesResponse:
        later = pb.ReportOutcomesResult.FromString(LATER_FIELD)
        return pb.ReportOutcomesResponse(results=[later], leased=[later])

    def WatchDecisions(self, request: pb.WatchDecisionsRequest, context: Any) -> Iterator[Any]:
        context.send_initial_metadata(())
        yield pb.WatchDecisionsResponse.FromString(LATER_FIELD)
        yield pb.WatchDecisionsResponse(outcome=pb.ReportOutcomeRequest(decision_id="d", outcome=99))


class Nonsense(grpc.GenericRpcHandler):
    """Answers every call with bytes that are no message."""

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method.endswith("/WatchDecisions"):
            return grpc.unary_stream_rpc_method_handler(lambda request, context: iter([b"\xff\xff\xff"]))
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"\xff\xff\xff")


@contextmanager
def serving(servicer: Older | Nonsense) -> Iterator[str]:
    """The address of a server with these answers."""
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        if isinstance(servicer, Nonsense):
            server.add_generic_rpc_handlers((servicer,))
        else:
            router_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()
