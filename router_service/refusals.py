"""Turns refusals into google.rpc.Status: what, why as ErrorInfo, and the details a program can act on."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from router_service import telemetry
from router_service.errors import InternalError, InvalidRequest, NoCandidate, RouterError

DOMAIN = "router.v1"
# Trailers have room for 8 KiB, and carry the sentence twice.
MOST_VIOLATIONS, LONGEST_DETAIL, LONGEST_SENTENCE = 20, 100, 1000

Answer = TypeVar("Answer")
Context = grpc.aio.ServicerContext[Any, Any]


async def answer(rpc: str, context: Context, work: Awaitable[Answer]) -> Answer:
    """Do the work of a call; what refuses it ends it with the status that tells it."""
    found = await attempt(rpc, work)
    if isinstance(found, RouterError):
        await abort(context, found)
        raise AssertionError("abort always raises")
    return found


async def attempt(rpc: str, work: Awaitable[Answer]) -> Answer | RouterError:
    """Do a piece of work; what refuses it, or InternalError for a mistake of ours, is logged and returned."""
    started = time.monotonic()
    refusal: RouterError
    try:
        return await work
    except RouterError as error:
        # Without the frames it came by: one of them holds it.
        refusal = error.with_traceback(None)
    except Exception as error:
        telemetry.mistaken(rpc, error)
        refusal = InternalError()
    telemetry.refused(rpc, refusal.reason, (time.monotonic() - started) * 1000)
    return refusal


async def abort(context: Context, error: RouterError) -> None:
    """End a call with a refusal."""
    status = rpc_status.to_status(status_of(error))
    await context.abort(status.code, status.details or "", status.trailing_metadata or ())


def code_of(error: RouterError) -> int:
    """The gRPC status code of a refusal."""
    code: int = code_pb2.Code.Value(error.status)
    return code


def status_of(error: RouterError) -> status_pb2.Status:
    """The refusal as google.rpc.Status."""
    details: list[Any] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)]
    if isinstance(error, InvalidRequest):
        violation = error_details_pb2.BadRequest.FieldViolation
        told = error.violations[:MOST_VIOLATIONS]
        violations = [violation(field=v.field, description=_clip(v.description)) for v in told]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if isinstance(error, NoCandidate):
        failure = error_details_pb2.PreconditionFailure
        removed = error.most_telling(MOST_VIOLATIONS)
        lacks = [failure.Violation(type=r.filter, subject=_clip(r.model), description=_clip(r.detail)) for r in removed]
        details.append(failure(violations=lacks))
    packed = []
    for detail in details:
        any_message = AnyMessage()
        any_message.Pack(detail)
        packed.append(any_message)
    return status_pb2.Status(code=code_of(error), message=str(error)[:LONGEST_SENTENCE], details=packed)


def _clip(text: str) -> str:
    return text[:LONGEST_DETAIL]
