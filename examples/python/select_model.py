"""Asks the router for a model: `python -m examples.python.select_model [HOST:PORT] [PROFILE] [PROMPT]`, from the root.

ROUTER_TOKEN is sent where the router wants a token; ROUTER_CA names the authority's certificate where it has TLS.
"""
# ruff: noqa: T201 - an example shows what it got

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc

SERVICE_CONFIG = {
    # Every replica gets its share; the default sends all calls to one.
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": "router.v1.RouterService", "method": "SelectModel"}],
            # A replica that is gone costs a retry at the next one, within the call's deadline.
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.01s",
                "maxBackoff": "0.1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}
OPTIONS = [
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    # A router that vanished without a word is noticed within 12 seconds. It is http2.ping_timeout_ms that counts:
    # keepalive_timeout_ms has no effect here, and the default is a minute.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 2_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A new replica is used within a few seconds; by default names are looked up every 30 at most.
    ("grpc.dns_min_time_between_resolutions_ms", 2_000),
    # A proxy named in the environment is for the internet, not for the service next door.
    ("grpc.enable_http_proxy", 0),
]
# A deadline goes with every call: without one, a call may wait for ever.
SECONDS = 2.0


def connect(target: str) -> grpc.Channel:
    """One channel for the life of the program, shared by all its calls."""
    authority = os.environ.get("ROUTER_CA")
    if not authority:
        return grpc.insecure_channel(target, options=OPTIONS)
    credentials = grpc.ssl_channel_credentials(Path(authority).read_bytes())
    return grpc.secure_channel(target, credentials, options=OPTIONS)


def explain(error: grpc.Call) -> str:
    """What a refusal says: its reason, its sentence, and what it holds against each field or model."""
    status = rpc_status.from_call(error)
    if status is None:
        # It did not come from the router: there is none, or it did not answer in time.
        return f"failed: {error.code()}: {error.details()}"
    lines = []
    for packed in status.details:
        info, bad, failure = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.BadRequest(),
            error_details_pb2.PreconditionFailure(),
        )
        if packed.Unpack(info):
            lines.append(f"refused: {info.reason}: {status.message}")
        elif packed.Unpack(bad):
            lines += [f"  {violation.field}: {violation.description}" for violation in bad.field_violations]
        elif packed.Unpack(failure):
            lines += [f"  {violation.subject}: {violation.description}" for violation in failure.violations]
    return "\n".join(lines)


def main(target: str = "127.0.0.1:50051", profile: str = "auto", prompt: str = "Rename a variable.") -> int:
    """Print the model and the reason; 1 when there is no decision."""
    token = os.environ.get("ROUTER_TOKEN")
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    request = pb.SelectModelRequest(
        profile=profile, purpose=pb.PURPOSE_CODE, messages=[pb.Message(role="user", text=prompt)]
    )
    with connect(target) as channel:
        try:
            stub = router_pb2_grpc.RouterServiceStub(channel)
            decision = stub.SelectModel(request, metadata=metadata, timeout=SECONDS)
        except grpc.RpcError as error:
            print(explain(error) if isinstance(error, grpc.Call) else error, file=sys.stderr)
            return 1
    print(f"model: {decision.model}")
    print(f"reason: {decision.reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
