"""Asks the router for its sums over gRPC; protobuf ends here, and an error is the sentence that the user reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc

# Seconds that the answer may take; the router gives its database 30.
DEADLINE = 35.0
# A proxy named in the environment is for the internet, not for the router.
OPTIONS = [("grpc.enable_http_proxy", 0)]


class RouterProblem(Exception):
    """The router gave no answer; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """The sums of one purpose and model, or of everything (both empty); costs in US dollars."""

    purpose: str
    model: str
    decisions: int
    reported: int
    replies: int
    estimated: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    baseline_cost_usd: float
    turns: int
    judged: int
    applied_first_time: int
    rescued: int
    failed: int
    escalated: int
    cost_per_applied_usd: float | None
    strongest_cost_usd: float
    cheapest_cost_usd: float


@dataclass(frozen=True, slots=True)
class Savings:
    """The rows, the dearest first, and their total."""

    rows: tuple[Row, ...]
    total: Row


def fetch_savings(
    address: str, environment: Mapping[str, str], since: datetime | None, tenant: str, profile: str
) -> Savings:
    """The router's sums; RouterProblem says why there are none. `environment` may hold EDGE_ROUTER_CA and its like."""
    request = pb.GetSavingsRequest(tenant=tenant, profile=profile)
    if since is not None:
        request.since.FromDatetime(since)
    token = environment.get("EDGE_ROUTER_TOKEN", "")
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with _channel(address, environment) as channel:
        try:
            stub = router_pb2_grpc.RouterServiceStub(channel)
            answer = stub.GetSavings(request, timeout=DEADLINE, metadata=metadata)
        except grpc.RpcError as error:
            raise RouterProblem(_explain(error, address, bool(environment.get("EDGE_ROUTER_CA")))) from None
    return Savings(tuple(_row(row) for row in answer.rows), _row(answer.total))


def _channel(address: str, environment: Mapping[str, str]) -> grpc.Channel:
    names = ("EDGE_ROUTER_CA", "EDGE_ROUTER_KEY", "EDGE_ROUTER_CERT")
    authority, key, certificate = (_read(name, environment.get(name, "")) for name in names)
    if authority is None:
        return grpc.insecure_channel(address, options=OPTIONS)
    credentials = grpc.ssl_channel_credentials(authority, key, certificate)
    return grpc.secure_channel(address, credentials, options=OPTIONS)


def _read(name: str, path: str) -> bytes | None:
    try:
        return Path(path).read_bytes() if path else None
    except OSError as error:
        raise RouterProblem(f"{name}: {path} cannot be read: {error.strerror}.") from None


def _explain(error: grpc.RpcError, address: str, tls: bool) -> str:
    code: Any = error.code() if isinstance(error, grpc.Call) else None
    details = (error.details() or "") if isinstance(error, grpc.Call) else ""
    answered = isinstance(error, grpc.Call) and any(
        key == "grpc-status-details-bin" for key, _ in error.trailing_metadata() or ()
    )
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return f"The router at {address} wants a token: set EDGE_ROUTER_TOKEN to one that it knows."
    if answered and details:
        return f"The router at {address} refused: {details}"
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        secure = (
            "it must be one that EDGE_ROUTER_CA vouches for"
            if tls
            else "if it asks for TLS, EDGE_ROUTER_CA names its authority"
        )
        return f"No router answers at {address}. `make run` starts one; --router or EDGE_ROUTER names another, and {secure}."
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"What answers at {address} is not this release's router."
    return f"The router at {address} refused: {details or code}"


def _row(row: pb.SavingsRow) -> Row:
    return Row(
        purpose=pb.Purpose.Name(row.purpose).removeprefix("PURPOSE_").lower() if row.purpose else "",
        model=row.model,
        decisions=row.decisions,
        reported=row.reported,
        replies=row.replies,
        estimated=row.estimated,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost_usd=row.cost_usd,
        baseline_cost_usd=row.baseline_cost_usd,
        turns=row.turns,
        judged=row.judged,
        applied_first_time=row.applied_first_time,
        rescued=row.rescued,
        failed=row.failed,
        escalated=row.escalated,
        cost_per_applied_usd=row.cost_per_applied_usd if row.HasField("cost_per_applied_usd") else None,
        strongest_cost_usd=row.strongest_cost_usd,
        cheapest_cost_usd=row.cheapest_cost_usd,
    )
