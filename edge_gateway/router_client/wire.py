"""Writes the edge's questions and reports in the contract's words, and reads the router's answers."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from msgspec.structs import replace

from edge_gateway.decisions import Decision, ModelFacts, Offer, ProfileFacts, Question
from edge_gateway.errors import GatewayError, context_exceeded, no_candidate, unknown_model
from edge_gateway.event_stream import Usage
from edge_gateway.tracing.span import TraceContext
from protos.router.v1 import router_pb2 as pb


class Removed(NamedTuple):
    """A candidate that one of the router's filters removed."""

    model: str
    filter: str


_PURPOSES = {name.removeprefix("PURPOSE_").lower(): number for name, number in pb.Purpose.items()}
_OUTCOMES = {name.removeprefix("OUTCOME_").lower(): number for name, number in pb.Outcome.items()}
_SOURCES = {number: name.removeprefix("DECISION_SOURCE_").lower() for name, number in pb.DecisionSource.items()}


def read_decision(answer: pb.SelectModelResponse) -> Decision:
    """The router's decision."""
    ranking = tuple(dict.fromkeys([answer.model, *(entry.model for entry in answer.ranking)]))
    # A newer router may know sources that this edge does not.
    source = _SOURCES.get(answer.source, "unspecified")
    lease = answer.lease.seconds + answer.lease.nanos / 1e9
    return Decision(answer.decision_id, True, ranking, source, answer.reason, answer.note, lease)


def read_offer(profiles: pb.ListProfilesResponse, models: pb.ListModelsResponse) -> Offer:
    """What the router offers."""
    return Offer(
        {p.name: ProfileFacts(p.name, p.description, tuple(p.candidates)) for p in profiles.profiles},
        {m.id: _model_facts(m) for m in models.models},
    )


def write_report(
    decision_id: str,
    served_model: str,
    outcome: str,
    usage: Usage,
    seconds: tuple[float, float] | None,
    adaptations: tuple[str, ...],
) -> pb.ReportOutcomeRequest:
    """How a reply fared; seconds are (latency, first byte), None where they are not known."""
    return pb.ReportOutcomeRequest(
        decision_id=decision_id,
        served_model=served_model,
        outcome=_OUTCOMES[outcome],
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        tokens_estimated=usage.estimated,
        latency=_duration(seconds[0]) if seconds else None,
        time_to_first_byte=_duration(seconds[1]) if seconds else None,
        adaptations=adaptations,
    )


def write_leased(decision: Decision, question: Question, made_at: float) -> pb.LeasedDecision:
    """A decision made here under a lease; `made_at`: seconds since the epoch. The texts stay here."""
    leased = pb.LeasedDecision(
        decision_id=decision.id, lease=decision.lease, request=write_question(replace(question, turns=()))
    )
    leased.time.FromNanoseconds(int(made_at * 1e9))
    return leased


def refusal(
    code: grpc.StatusCode, text: str, removed: Sequence[Removed], question: Question, offer: Offer
) -> GatewayError | None:
    """The client's error where the router refuses the request itself; None where it gave no answer."""
    if code is grpc.StatusCode.NOT_FOUND:
        return unknown_model(question.profile or question.model, list(offer.profiles))
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        # Only what the caller can reach says something about its request.
        within = [entry for entry in removed if entry.filter != "provider"]
        if removed and not within:
            name = question.profile or question.model
            text = f"No provider of {name!r} that takes such a request is set up here: "
            return no_candidate(f"{text}set a provider's API key, or ask for another profile.")
        limits = [offer.models[entry.model].context_tokens for entry in within if entry.model in offer.models]
        if limits and all(entry.filter == "context" for entry in within):
            return context_exceeded(max(limits), question.input_tokens)
        return no_candidate(text or "No model meets the request's requirements.")
    return None


def removed_of(error: grpc.aio.AioRpcError) -> list[Removed]:
    """The candidates that a call's status says a filter removed."""
    found: list[Removed] = []
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            with contextlib.suppress(DecodeError):
                for detail in status_pb2.Status.FromString(value).details:
                    failure = error_details_pb2.PreconditionFailure()
                    if detail.Unpack(failure):
                        found += [Removed(violation.subject, violation.type) for violation in failure.violations]
    return found


def write_question(question: Question) -> pb.SelectModelRequest:
    """A question."""
    previous = question.previous
    request = pb.SelectModelRequest(
        messages=[pb.Message(role=role, text=text) for role, text in question.turns],
        purpose=_PURPOSES[question.purpose],
        edit_format=question.edit_format,
        conversation_id=question.conversation_id,
        requirements=pb.Requirements(
            input_tokens=question.input_tokens,
            output_tokens=min(question.output_tokens, 2**31),
            vision=question.vision,
            tools=question.tools,
            json=question.json,
            prefix_tokens=question.prefix_tokens,
        ),
        available_providers=question.available_providers,
        previous_reply=pb.PreviousReply(
            outcome=_OUTCOMES[previous.outcome],
            model=previous.model,
            decision_id=previous.decision_id,
            consecutive_failures=previous.failures,
        ),
        continuation=question.continuation,
        tenant=question.tenant,
        caller=question.caller,
        metadata=question.metadata,
    )
    if question.model:
        request.model = question.model
    else:
        request.profile = question.profile
    return request


def write_trace(request: pb.SelectModelRequest, trace: TraceContext) -> None:
    """Which trace a question belongs to: several travel in one call, so it goes with each."""
    request.trace_context.traceparent = trace.traceparent
    request.trace_context.tracestate = trace.tracestate


def _model_facts(model: pb.Model) -> ModelFacts:
    return ModelFacts(
        model.id,
        model.context_tokens,
        model.max_output_tokens,
        model.input_usd_per_mtok,
        model.output_usd_per_mtok,
        model.cache_read_usd_per_mtok if model.HasField("cache_read_usd_per_mtok") else None,
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
