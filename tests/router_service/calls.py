"""Calls the router over real gRPC."""

from typing import Any

import grpc
from google.protobuf.json_format import ParseDict

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from tests.processes import NEVER


def call(port: int, rpc: str, request: Any, timeout: float | None = NEVER) -> Any:
    """One call on a channel of its own; grpc.RpcError when it is refused."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return getattr(router_pb2_grpc.RouterServiceStub(channel), rpc)(request, timeout=timeout)


def select(port: int, timeout: float | None = NEVER, **fields: Any) -> pb.SelectModelResponse:
    """SelectModel, with the request as JSON-like fields."""
    return call(port, "SelectModel", ParseDict(fields, pb.SelectModelRequest()), timeout)
