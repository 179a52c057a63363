"""Asks a router whether it serves: `python -m router_service.probe [HOST:PORT]`, exit status 0 when it does."""

import os
import socket
import sys

import grpc
from grpc_health.v1 import health_pb2

CHECK = "/grpc.health.v1.Health/Check"
SECONDS = 5


def main() -> int:
    """0 when the router says SERVING; by default the one that ROUTER_LISTEN starts on this machine."""
    port = os.environ.get("ROUTER_LISTEN", "127.0.0.1:50051").rpartition(":")[2]
    target = sys.argv[1] if len(sys.argv) > 1 else f"127.0.0.1:{port}"
    if os.environ.get("ROUTER_TLS_CERT"):
        # Its name on the certificate is not known here, so that it listens has to do.
        return _listens(target)
    with grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            check = channel.unary_unary(
                CHECK,
                health_pb2.HealthCheckRequest.SerializeToString,
                health_pb2.HealthCheckResponse.FromString,
            )
            answer = check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        except grpc.RpcError:
            return 1
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


def _listens(target: str) -> int:
    host, _, port = target.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), SECONDS):
            return 0
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
