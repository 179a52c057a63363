"""What the router says in each of its spans: of a call that asks for a decision, and of its own call to Not Diamond."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

from router_service.domain import Decision
from router_service.errors import InternalError, RouterError
from router_service.tracing import names
from router_service.tracing.span import CURRENT, Attributes, Span, TraceContext, Tracer

Answer = TypeVar("Answer")
RPC = "router.v1.RouterService"
RECOMMENDING = "/v2/modelRouter/modelSelect"
# What gRPC calls a call that went well, and one whose caller left.
OK, CANCELLED = 0, 1
HTTP_OK = 200
PORTS = {"http": 80, "https": 443}
# Statuses that say of the router that it failed; the others say something of the call.
FAULTS = frozenset({"UNKNOWN", "INTERNAL", "UNAVAILABLE"})
LONGEST_REASON = 300


async def served(
    tracer: Tracer, method: str, context: TraceContext, work: Awaitable[Answer], code_of: Callable[[RouterError], int]
) -> Answer:
    """Do what a call asks for within a span of its own. `code_of`: gRPC's code of a refusal."""
    said = {names.RPC_SYSTEM: "grpc", names.RPC_SERVICE: RPC, names.RPC_METHOD: method}
    span = tracer.begin(f"{RPC}/{method}", context, said)
    before = CURRENT.set(span)
    try:
        done = await work
        span.say({names.RPC_STATUS: OK})
        return done
    except RouterError as refusal:
        _refused(span, refusal, code_of(refusal))
        raise
    except asyncio.CancelledError:
        span.say({names.RPC_STATUS: CANCELLED})
        raise
    except Exception:
        mistake = InternalError()
        _refused(span, mistake, code_of(mistake))
        raise
    finally:
        CURRENT.reset(before)
        span.end()


def decided(span: Span, decision: Decision, lease: str = "") -> None:
    """What was decided, and why; `lease`: the decision by whose lease its caller has made it."""
    request = decision.request
    said = {
        names.SOURCE: str(decision.source),
        names.REASON: decision.reason[:LONGEST_REASON],
        names.DECISION_ID: decision.id,
        names.MODEL: decision.model,
        names.PROFILE: request.profile,
        names.PURPOSE: str(request.purpose),
        names.PREVIOUS_OUTCOME: str(request.previous_reply.outcome),
    }
    span.say(said | ({names.LEASE: lease} if lease else {}))
    if decision.consultation is not None and decision.consultation.problem:
        span.say({names.NOT_DIAMOND_PROBLEM: decision.consultation.problem[:LONGEST_REASON]})


def asks_not_diamond(parent: Span, url: str) -> Span:
    """Not Diamond is asked for a recommendation, at this address."""
    where = urlsplit(url)
    said: Attributes = {
        names.HTTP_METHOD: "POST",
        names.URL_TEMPLATE: RECOMMENDING,
        names.SERVER_ADDRESS: where.hostname or "",
        names.SERVER_PORT: where.port or PORTS.get(where.scheme, 0),
    }
    return parent.child(f"POST {RECOMMENDING}", said)


def not_diamond_answered(span: Span, problem: str) -> None:
    """It has answered; `problem`: why that is of no use, empty where it is."""
    span.say({names.HTTP_STATUS: HTTP_OK})
    if problem:
        span.say({names.NOT_DIAMOND_PROBLEM: problem[:LONGEST_REASON]})
        span.fail("unusable_answer")


def not_diamond_failed(span: Span, error: Exception) -> None:
    """It has refused, or could not be asked."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        span.say({names.HTTP_STATUS: status})
    span.fail(str(status) if isinstance(status, int) else type(error).__name__)


def _refused(span: Span, refusal: RouterError, code: int) -> None:
    span.say({names.RPC_STATUS: code})
    if refusal.status in FAULTS:
        span.fail(refusal.reason)
    else:
        span.say({names.ERROR_TYPE: refusal.reason})
