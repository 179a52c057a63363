"""Reads the router's messages into plain values; what this client does not know yet, it leaves out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from protos.router.v1 import router_pb2 as pb
from router_client.answers import (
    Decision,
    DecisionSummary,
    Explanation,
    LearningTrace,
    Model,
    NotDiamondTrace,
    PinTrace,
    Profile,
    RankedModel,
    Receipt,
    RemovedCandidate,
    Savings,
    SavingsRow,
    ServerInfo,
    ShadowTrace,
    Spending,
)
from router_client.asked import PreviousReply, Report, Requirements
from router_client.words import DecisionSource, Outcome, Purpose

Value = TypeVar("Value")

_PURPOSES = {pb.Purpose.Value(f"PURPOSE_{word.name}"): word for word in Purpose}
_OUTCOMES = {pb.Outcome.Value(f"OUTCOME_{word.name}"): word for word in Outcome}
_SOURCES = {pb.DecisionSource.Value(f"DECISION_SOURCE_{word.name}"): word for word in DecisionSource}


def decision(answer: pb.SelectModelResponse) -> Decision:
    """A decision."""
    return Decision(
        decision_id=answer.decision_id,
        model=answer.model,
        ranking=tuple(_ranked(entry) for entry in answer.ranking),
        source=_SOURCES.get(answer.source, DecisionSource.UNSPECIFIED),
        reason=answer.reason,
        not_diamond_session_id=answer.not_diamond_session_id,
        valid_for=_span(answer, "valid_for", answer.valid_for),
        baseline_model=answer.baseline_model,
        baseline_cost_usd=_known(answer, "baseline_cost_usd", answer.baseline_cost_usd),
        note=answer.note,
        lease=_span(answer, "lease", answer.lease),
    )


def receipt(answer: pb.ReportOutcomeResponse) -> Receipt:
    """A report was kept."""
    return Receipt(cost_usd=_known(answer, "cost_usd", answer.cost_usd))


def models(answer: pb.ListModelsResponse) -> tuple[Model, ...]:
    """The catalogue."""
    return tuple(
        Model(
            id=model.id,
            context_tokens=model.context_tokens,
            max_output_tokens=model.max_output_tokens,
            input_usd_per_mtok=model.input_usd_per_mtok,
            output_usd_per_mtok=model.output_usd_per_mtok,
            cache_read_usd_per_mtok=_known(model, "cache_read_usd_per_mtok", model.cache_read_usd_per_mtok),
            vision=model.vision,
            tools=model.tools,
            json=model.json,
            quality=model.quality,
            quality_source=model.quality_source,
            source=model.source,
            checked=model.checked,
        )
        for model in answer.models
    )


def profiles(answer: pb.ListProfilesResponse) -> tuple[Profile, ...]:
    """The routing policies."""
    return tuple(
        Profile(
            name=profile.name,
            description=profile.description,
            candidates=tuple(profile.candidates),
            cost_quality_tradeoff=profile.cost_quality_tradeoff,
            not_diamond=profile.not_diamond,
            note=profile.note,
        )
        for profile in answer.profiles
    )


def explanation(answer: pb.ExplainDecisionResponse) -> Explanation:
    """The whole trace of a decision."""
    return Explanation(
        decision=decision(answer.decision),
        purpose=_PURPOSES.get(answer.purpose, Purpose.UNSPECIFIED),
        profile=answer.profile,
        conversation_id=answer.conversation_id,
        requirements=_requirements(answer.requirements) if answer.HasField("requirements") else None,
        cost_quality_tradeoff=answer.cost_quality_tradeoff,
        removed=tuple(removed(entry) for entry in answer.removed),
        not_diamond=_not_diamond(answer.not_diamond) if answer.HasField("not_diamond") else None,
        outcomes=tuple(report(entry) for entry in answer.outcomes),
        metadata=dict(answer.metadata),
        time=_time(answer, answer.time),
        tenant=answer.tenant,
        pin=PinTrace(model=answer.pin.model, kept=answer.pin.kept, reason=answer.pin.reason)
        if answer.HasField("pin")
        else None,
        policy=answer.policy,
        shadow=_shadow(answer.shadow) if answer.HasField("shadow") else None,
        edit_format=answer.edit_format,
        previous_reply=_previous(answer.previous_reply) if answer.HasField("previous_reply") else None,
        learning=_learning(answer.learning) if answer.HasField("learning") else None,
        caller=answer.caller,
    )


def report(told: pb.ReportOutcomeRequest) -> Report:
    """How a reply fared, as it was reported."""
    return Report(
        decision_id=told.decision_id,
        served_model=told.served_model,
        outcome=_OUTCOMES.get(told.outcome, Outcome.UNSPECIFIED),
        input_tokens=told.input_tokens,
        output_tokens=told.output_tokens,
        cached_input_tokens=told.cached_input_tokens,
        cost_usd=_known(told, "cost_usd", told.cost_usd),
        latency=_span(told, "latency", told.latency),
        time_to_first_byte=_span(told, "time_to_first_byte", told.time_to_first_byte),
        tokens_estimated=told.tokens_estimated,
        adaptations=tuple(told.adaptations),
    )


def summary(entry: pb.DecisionSummary) -> DecisionSummary:
    """A decision in a list."""
    return DecisionSummary(
        decision_id=entry.decision_id,
        time=_time(entry, entry.time),
        tenant=entry.tenant,
        profile=entry.profile,
        purpose=_PURPOSES.get(entry.purpose, Purpose.UNSPECIFIED),
        conversation_id=entry.conversation_id,
        model=entry.model,
        source=_SOURCES.get(entry.source, DecisionSource.UNSPECIFIED),
        reason=entry.reason,
        expected_cost_usd=_known(entry, "expected_cost_usd", entry.expected_cost_usd),
        served_model=entry.served_model,
        outcome=_OUTCOMES.get(entry.outcome, Outcome.UNSPECIFIED),
        input_tokens=entry.input_tokens,
        output_tokens=entry.output_tokens,
        cost_usd=_known(entry, "cost_usd", entry.cost_usd),
        baseline_cost_usd=_known(entry, "baseline_cost_usd", entry.baseline_cost_usd),
        previous_outcome=_OUTCOMES.get(entry.previous_outcome, Outcome.UNSPECIFIED),
        tokens_estimated=entry.tokens_estimated,
        caller=entry.caller,
        time_to_first_byte=_span(entry, "time_to_first_byte", entry.time_to_first_byte),
    )


def event(happened: pb.WatchDecisionsResponse) -> DecisionSummary | Report | None:
    """A decision that was made, or how a reply fared; None for what later releases tell."""
    if happened.HasField("decision"):
        return summary(happened.decision)
    return report(happened.outcome) if happened.HasField("outcome") else None


def savings(answer: pb.GetSavingsResponse) -> Savings:
    """The sums."""
    return Savings(rows=tuple(_row(row) for row in answer.rows), total=_row(answer.total))


def spending(answer: pb.GetSpendingResponse) -> tuple[Spending, ...]:
    """What each caller's replies have cost."""
    return tuple(Spending(caller=row.caller, cost_usd=row.cost_usd, decisions=row.decisions) for row in answer.rows)


def server_info(answer: pb.GetServerInfoResponse) -> ServerInfo:
    """What answers."""
    return ServerInfo(release=answer.release, contract_revision=answer.contract_revision)


def removed(entry: pb.RemovedCandidate) -> RemovedCandidate:
    """A candidate that a filter removed."""
    return RemovedCandidate(model=entry.model, filter=entry.filter, detail=entry.detail)


def _ranked(entry: pb.RankedModel) -> RankedModel:
    return RankedModel(
        model=entry.model,
        reason=entry.reason,
        expected_cost_usd=_known(entry, "expected_cost_usd", entry.expected_cost_usd),
        context_tokens=entry.context_tokens,
        quality=_known(entry, "quality", entry.quality),
        score=_known(entry, "score", entry.score),
        switch_cost_usd=_known(entry, "switch_cost_usd", entry.switch_cost_usd),
        prior_quality=_known(entry, "prior_quality", entry.prior_quality),
        outcomes=entry.outcomes,
    )


def _requirements(needs: pb.Requirements) -> Requirements:
    return Requirements(
        input_tokens=needs.input_tokens,
        output_tokens=needs.output_tokens,
        vision=needs.vision,
        tools=needs.tools,
        json=needs.json,
        prefix_tokens=needs.prefix_tokens,
    )


def _previous(reply: pb.PreviousReply) -> PreviousReply:
    outcome = _OUTCOMES.get(reply.outcome, Outcome.UNSPECIFIED)
    return PreviousReply(
        outcome=outcome,
        model=reply.model,
        decision_id=reply.decision_id,
        consecutive_failures=reply.consecutive_failures,
    )


def _not_diamond(trace: pb.NotDiamondTrace) -> NotDiamondTrace:
    elapsed = _span(trace, "elapsed", trace.elapsed)
    return NotDiamondTrace(
        model=trace.model,
        problem=trace.problem,
        elapsed=elapsed,
        cached=trace.cached,
        not_offered=tuple(trace.not_offered),
    )


def _shadow(trace: pb.ShadowTrace) -> ShadowTrace:
    cost = _known(trace, "expected_cost_usd", trace.expected_cost_usd)
    return ShadowTrace(profile=trace.profile, model=trace.model, expected_cost_usd=cost)


def _learning(trace: pb.LearningTrace) -> LearningTrace:
    return LearningTrace(
        mode=trace.mode,
        model=trace.model,
        prior_model=trace.prior_model,
        outcomes=trace.outcomes,
        distrust=trace.distrust,
    )


def _row(row: pb.SavingsRow) -> SavingsRow:
    return SavingsRow(
        purpose=_PURPOSES.get(row.purpose, Purpose.UNSPECIFIED),
        model=row.model,
        decisions=row.decisions,
        reported=row.reported,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost_usd=row.cost_usd,
        baseline_cost_usd=row.baseline_cost_usd,
        turns=row.turns,
        applied_first_time=row.applied_first_time,
        rescued=row.rescued,
        failed=row.failed,
        escalated=row.escalated,
        cost_per_applied_usd=_known(row, "cost_per_applied_usd", row.cost_per_applied_usd),
        strongest_cost_usd=row.strongest_cost_usd,
        cheapest_cost_usd=row.cheapest_cost_usd,
        estimated=row.estimated,
        judged=row.judged,
        replies=row.replies,
    )


def _known(message: Message, name: str, value: Value) -> Value | None:
    """The field's value; None where it is not set."""
    return value if message.HasField(name) else None


def _span(message: Message, name: str, value: Duration) -> timedelta | None:
    return value.ToTimedelta() if message.HasField(name) else None


def _time(message: Message, value: Timestamp) -> datetime | None:
    return value.ToDatetime(UTC) if message.HasField("time") else None
