"""Serves the contract: reads each call, has it decided, and turns refusals into google.rpc.Status."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from router_service import telemetry, wire
from router_service.errors import InvalidRequest, NoCandidate, RouterError
from router_service.ledger import MemoryLedger
from router_service.selection import Selection

DOMAIN = "router.v1"
# A client without a deadline asks for a day and more; nothing here takes that long.
LONGEST_DEADLINE = 60.0
# Trailers have room for 8 KiB, and carry the sentence twice.
MOST_VIOLATIONS, LONGEST_DETAIL, LONGEST_SENTENCE = 20, 100, 1000

Answer = TypeVar("Answer")
Context = grpc.aio.ServicerContext[Any, Any]


class RouterServicer(router_pb2_grpc.RouterServiceServicer):
    """The contract's five calls."""

    def __init__(self, selection: Selection, ledger: MemoryLedger, default_deadline: float) -> None:
        """`default_deadline`: seconds a decision may take when the caller sets no deadline."""
        self._selection = selection
        self._ledger = ledger
        self._default_deadline = default_deadline

    async def SelectModel(self, request: pb.SelectModelRequest, context: Context) -> pb.SelectModelResponse:
        """Choose the model for one request."""

        async def decide() -> pb.SelectModelResponse:
            started = time.monotonic()
            decision = await self._selection.select(wire.read_request(request), self._time_left(context))
            self._ledger.record(decision)
            telemetry.decided(decision, (time.monotonic() - started) * 1000)
            return wire.write_decision(decision)

        return await _answer("SelectModel", context, decide)

    async def ReportOutcome(self, request: pb.ReportOutcomeRequest, context: Context) -> pb.ReportOutcomeResponse:
        """Keep how a reply fared."""

        async def keep() -> pb.ReportOutcomeResponse:
            self._ledger.report(wire.read_report(request))
            return pb.ReportOutcomeResponse()

        return await _answer("ReportOutcome", context, keep)

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        """The catalogue."""
        catalog = self._selection.catalog
        return pb.ListModelsResponse(models=[wire.write_model(model, catalog) for model in catalog.models])

    async def ListProfiles(self, request: pb.ListProfilesRequest, context: Context) -> pb.ListProfilesResponse:
        """The routing policies."""
        catalog = self._selection.catalog
        return pb.ListProfilesResponse(
            profiles=[wire.write_profile(profile, catalog) for profile in catalog.profiles.values()]
        )

    async def ExplainDecision(self, request: pb.ExplainDecisionRequest, context: Context) -> pb.ExplainDecisionResponse:
        """The whole trace of a past decision."""

        async def explain() -> pb.ExplainDecisionResponse:
            decision = self._ledger.find(request.decision_id)
            return wire.write_explanation(decision, self._ledger.reports_of(decision.id))

        return await _answer("ExplainDecision", context, explain)

    def _time_left(self, context: Context) -> float:
        left = context.time_remaining()
        return self._default_deadline if left is None or left > LONGEST_DEADLINE else left


async def _answer(rpc: str, context: Context, work: Callable[[], Awaitable[Answer]]) -> Answer:
    started = time.monotonic()
    try:
        return await work()
    except RouterError as error:
        telemetry.refused(rpc, error.reason, (time.monotonic() - started) * 1000)
        status = rpc_status.to_status(status_of(error))
        await context.abort(status.code, status.details or "", status.trailing_metadata or ())
        raise AssertionError("abort always raises") from error


def status_of(error: RouterError) -> status_pb2.Status:
    """The refusal as google.rpc.Status: what, why as ErrorInfo, and the details a program can act on."""
    details: list[Any] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)]
    if isinstance(error, InvalidRequest):
        violation = error_details_pb2.BadRequest.FieldViolation
        told = error.violations[:MOST_VIOLATIONS]
        violations = [violation(field=v.field, description=_clip(v.description)) for v in told]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if isinstance(error, NoCandidate):
        failure = error_details_pb2.PreconditionFailure
        # What the caller cannot reach says least about its request, so it is the first to be left out.
        removed = sorted(error.removed, key=lambda entry: entry.filter == "provider")[:MOST_VIOLATIONS]
        lacks = [failure.Violation(type=r.filter, subject=_clip(r.model), description=_clip(r.detail)) for r in removed]
        details.append(failure(violations=lacks))
    packed = []
    for detail in details:
        any_message = AnyMessage()
        any_message.Pack(detail)
        packed.append(any_message)
    text = str(error)[:LONGEST_SENTENCE]
    return status_pb2.Status(code=code_pb2.Code.Value(error.status), message=text, details=packed)


def _clip(text: str) -> str:
    return text[:LONGEST_DETAIL]
