"""Writes questions and reports as the contract's messages; InvalidRequest where a value cannot be one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from protos.router.v1 import router_pb2 as pb
from router_client.asked import DecisionFilter, LeasedDecision, PreviousReply, Question, Report, Requirements
from router_client.errors import InvalidRequest
from router_client.words import Outcome, Purpose

Given = ParamSpec("Given")
Written = TypeVar("Written")


def checked(write: Callable[Given, Written]) -> Callable[Given, Written]:
    """Have what protobuf says of a value that no message can hold be InvalidRequest."""

    @wraps(write)
    def checking(*args: Given.args, **kwargs: Given.kwargs) -> Written:
        try:
            return write(*args, **kwargs)
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            # Of a text that UTF-8 cannot say nothing is repeated: it may be a prompt.
            text = (
                "a text is not UTF-8, for a lone surrogate or odd bytes"
                if isinstance(error, UnicodeError)
                else str(error)
            )
            raise InvalidRequest(f"This cannot be sent to a router: {text}.") from None

    return checking


@checked
def question(asked: Question) -> pb.SelectModelRequest:
    """A question."""
    written = pb.SelectModelRequest(
        messages=[pb.Message(role=turn.role, text=turn.text) for turn in asked.messages],
        purpose=_purpose(asked.purpose),
        conversation_id=asked.conversation_id,
        requirements=_requirements(asked.requirements),
        available_providers=_texts("available_providers", asked.available_providers),
        cost_quality_tradeoff=asked.cost_quality_tradeoff,
        preference_id=asked.preference_id,
        previous_reply=None if asked.previous_reply is None else _previous(asked.previous_reply),
        metadata=asked.metadata,
        edit_format=asked.edit_format,
        tenant=asked.tenant,
        ignore_pin=asked.ignore_pin,
        unhealthy_providers=_texts("unhealthy_providers", asked.unhealthy_providers),
        continuation=asked.continuation,
        caller=asked.caller,
    )
    if asked.trace_context is not None:
        written.trace_context.traceparent = asked.trace_context.traceparent
        written.trace_context.tracestate = asked.trace_context.tracestate
    _choose(asked, written)
    return written


@checked
def report(told: Report) -> pb.ReportOutcomeRequest:
    """How a reply fared."""
    return pb.ReportOutcomeRequest(
        decision_id=told.decision_id,
        served_model=told.served_model,
        outcome=_outcome(told.outcome),
        input_tokens=told.input_tokens,
        output_tokens=told.output_tokens,
        cached_input_tokens=told.cached_input_tokens,
        cost_usd=told.cost_usd,
        latency=_duration(told.latency),
        time_to_first_byte=_duration(told.time_to_first_byte),
        tokens_estimated=told.tokens_estimated,
        adaptations=_texts("adaptations", told.adaptations),
    )


def reports(told: Iterable[Report], leased: Iterable[LeasedDecision]) -> pb.ReportOutcomesRequest:
    """How many replies fared, and what was decided under leases. What the iterables themselves raise is not InvalidRequest."""
    return pb.ReportOutcomesRequest(reports=[report(one) for one in told], leased=[_leased(one) for one in leased])


@checked
def decision_id(name: str) -> pb.ExplainDecisionRequest:
    """Which decision to explain."""
    return pb.ExplainDecisionRequest(decision_id=name)


@checked
def watch(tenant: str, profile: str) -> pb.WatchDecisionsRequest:
    """What to watch."""
    return pb.WatchDecisionsRequest(tenant=tenant, profile=profile)


@checked
def page(wanted: DecisionFilter, size: int, token: str) -> pb.ListDecisionsRequest:
    """A page of a list."""
    return pb.ListDecisionsRequest(
        page_size=size,
        page_token=token,
        tenant=wanted.tenant,
        profile=wanted.profile,
        conversation_id=wanted.conversation_id,
        model=wanted.model,
        since=_timestamp(wanted.since),
    )


@checked
def savings(since: datetime | None, until: datetime | None, tenant: str, profile: str) -> pb.GetSavingsRequest:
    """Which decisions to sum up."""
    return pb.GetSavingsRequest(since=_timestamp(since), until=_timestamp(until), tenant=tenant, profile=profile)


@checked
def spending(since: datetime | None, until: datetime | None) -> pb.GetSpendingRequest:
    """Which decisions to sum up."""
    return pb.GetSpendingRequest(since=_timestamp(since), until=_timestamp(until))


@checked
def _leased(one: LeasedDecision) -> pb.LeasedDecision:
    return pb.LeasedDecision(
        decision_id=one.decision_id, lease=one.lease, time=_timestamp(one.time), request=question(one.request)
    )


def _texts(name: str, given: Iterable[str]) -> Iterable[str]:
    """A text is an iterable of texts too, but nobody means its letters."""
    if isinstance(given, str):
        raise InvalidRequest(f"{name}: give a tuple of texts, such as ({given!r},), not a text.")
    return given


def _choose(asked: Question, written: pb.SelectModelRequest) -> None:
    """Exactly one is set; the router says so where none is."""
    given = [name for name in ("profile", "candidates", "model") if getattr(asked, name)]
    if len(given) > 1:
        raise InvalidRequest(f"A question gives one of profile, candidates and model, not {' and '.join(given)}.")
    if asked.candidates:
        written.candidates.models.extend(_texts("candidates", asked.candidates))
    elif asked.model:
        written.model = asked.model
    elif asked.profile:
        written.profile = asked.profile


def _requirements(needs: Requirements) -> pb.Requirements:
    return pb.Requirements(
        input_tokens=needs.input_tokens,
        output_tokens=needs.output_tokens,
        vision=needs.vision,
        tools=needs.tools,
        json=needs.json,
        prefix_tokens=needs.prefix_tokens,
    )


def _previous(reply: PreviousReply) -> pb.PreviousReply:
    return pb.PreviousReply(
        outcome=_outcome(reply.outcome),
        model=reply.model,
        decision_id=reply.decision_id,
        consecutive_failures=reply.consecutive_failures,
    )


def _purpose(purpose: Purpose) -> pb.Purpose.ValueType:
    return pb.Purpose.Value(f"PURPOSE_{Purpose(purpose).name}")


def _outcome(outcome: Outcome) -> pb.Outcome.ValueType:
    return pb.Outcome.Value(f"OUTCOME_{Outcome(outcome).name}")


def _duration(span: timedelta | None) -> Duration | None:
    if span is None:
        return None
    written = Duration()
    written.FromTimedelta(span)
    return written


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a time without its zone could be any; give an aware datetime")
    written = Timestamp()
    written.FromDatetime(moment)
    return written
