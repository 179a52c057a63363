"""The router tells strangers what it serves only on loopback, or where it is told to."""

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.processes import NEVER, free_port, start_router


def tells(port: int) -> bool:
    """Whether the router at this port says what it serves."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        try:
            (answer,) = stub.ServerReflectionInfo(
                iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=NEVER
            )
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                return False
            raise
    return bool(answer.list_services_response.service)


@pytest.mark.parametrize(
    ("host", "setting", "told"),
    [("127.0.0.1", {}, True), ("0.0.0.0", {}, False), ("0.0.0.0", {"ROUTER_REFLECTION": "true"}, True)],
)
def test_reflection_is_off_beyond_loopback_unless_it_is_asked_for(host, setting, told):
    port = free_port()
    router = start_router(port, ROUTER_LISTEN=f"{host}:{port}", ROUTER_TRUSTED_NETWORK="true", **setting)
    try:
        assert tells(port) == told
    finally:
        router.stop()
