"""Translates between the contract's protobuf messages and the domain's words, and checks requests on the way in."""

from __future__ import annotations

import re

from google.protobuf.duration_pb2 import Duration

from protos.router.v1 import router_pb2 as pb
from router_service.catalog import MODEL_ID, Catalog, Model, Profile
from router_service.domain import (
    Decision,
    Message,
    Outcome,
    PreviousReply,
    Purpose,
    Ranked,
    Report,
    Request,
    Requirements,
    Source,
)
from router_service.errors import FieldViolation, InvalidRequest

MAX_CANDIDATES = 64
MAX_METADATA = 16
MAX_METADATA_LENGTH = 128
MAX_TRADEOFF = 10
MAX_MODEL_LENGTH = 200
MAX_NAMES = 64
MAX_MESSAGES = 1000
LONGEST_LATENCY = 86_400.0
# Characters that a text of the request may have; they are kept with the decision.
TEXT_LIMITS = {"profile": 64, "conversation_id": 128, "preference_id": 128, "edit_format": 32}
ROLES = frozenset({"system", "user", "assistant", "tool"})

PURPOSES = {number: Purpose(name.removeprefix("PURPOSE_").lower()) for name, number in pb.Purpose.items() if number}
OUTCOMES = {number: Outcome(name.removeprefix("OUTCOME_").lower()) for name, number in pb.Outcome.items() if number}
SOURCES = {
    Source(name.removeprefix("DECISION_SOURCE_").lower()): number
    for name, number in pb.DecisionSource.items()
    if number
}


def read_request(message: pb.SelectModelRequest) -> Request:
    """A checked request; InvalidRequest names every field that breaks a rule."""
    violations = [*_choice_violations(message), *_detail_violations(message)]
    if violations:
        raise InvalidRequest(violations)
    needs, previous = message.requirements, message.previous_reply
    return Request(
        messages=tuple(Message(turn.role, turn.text) for turn in message.messages),
        profile=message.profile,
        candidates=tuple(dict.fromkeys(message.candidates.models)),
        model=message.model,
        purpose=PURPOSES.get(message.purpose, Purpose.CHAT),
        edit_format=message.edit_format,
        conversation_id=message.conversation_id,
        requirements=Requirements(needs.input_tokens, needs.output_tokens, needs.vision, needs.tools, needs.json),
        available_providers=frozenset(message.available_providers),
        cost_quality_tradeoff=message.cost_quality_tradeoff if message.HasField("cost_quality_tradeoff") else None,
        preference_id=message.preference_id,
        previous_reply=PreviousReply(
            OUTCOMES.get(previous.outcome, Outcome.UNKNOWN),
            previous.model,
            previous.decision_id,
            previous.consecutive_failures,
        ),
        metadata=dict(message.metadata),
    )


def read_report(message: pb.ReportOutcomeRequest) -> Report:
    """A checked report; InvalidRequest names every field that breaks a rule."""
    violations = []
    if not message.decision_id:
        violations.append(FieldViolation("decision_id", "is required; it stands in SelectModelResponse"))
    if message.outcome not in OUTCOMES:
        violations.append(FieldViolation("outcome", "is required; name one of the contract's outcomes"))
    if len(message.decision_id) > MAX_MODEL_LENGTH or len(message.served_model) > MAX_MODEL_LENGTH:
        violations.append(FieldViolation("served_model", f"and decision_id hold at most {MAX_MODEL_LENGTH} characters"))
    for field in ("latency", "time_to_first_byte"):
        if not 0 <= _seconds(getattr(message, field)) <= LONGEST_LATENCY:
            violations.append(FieldViolation(field, "is not a duration between 0 and a day"))
    if violations:
        raise InvalidRequest(violations)
    return Report(
        decision_id=message.decision_id,
        served_model=message.served_model,
        outcome=OUTCOMES[message.outcome],
        input_tokens=message.input_tokens,
        output_tokens=message.output_tokens,
        cached_input_tokens=message.cached_input_tokens,
        cost_usd=message.cost_usd if message.HasField("cost_usd") else None,
        latency_seconds=_seconds(message.latency),
        time_to_first_byte_seconds=_seconds(message.time_to_first_byte),
    )


def write_decision(decision: Decision) -> pb.SelectModelResponse:
    """The answer to SelectModel."""
    return pb.SelectModelResponse(
        decision_id=decision.id,
        model=decision.model,
        ranking=[_write_ranked(entry) for entry in decision.ranking],
        source=SOURCES[decision.source],
        reason=decision.reason,
        not_diamond_session_id=decision.consultation.session_id if decision.consultation else "",
    )


def write_explanation(decision: Decision, reports: tuple[Report, ...]) -> pb.ExplainDecisionResponse:
    """The whole trace of a decision."""
    request, asked = decision.request, decision.consultation
    needs = request.requirements
    return pb.ExplainDecisionResponse(
        decision=write_decision(decision),
        purpose=pb.Purpose.Value(f"PURPOSE_{request.purpose.upper()}"),
        profile=request.profile,
        conversation_id=request.conversation_id,
        requirements=pb.Requirements(
            input_tokens=needs.input_tokens,
            output_tokens=needs.output_tokens,
            vision=needs.vision,
            tools=needs.tools,
            json=needs.json,
        ),
        cost_quality_tradeoff=decision.cost_quality_tradeoff,
        removed=[pb.RemovedCandidate(model=r.model, filter=r.filter, detail=r.detail) for r in decision.removed],
        not_diamond=None
        if asked is None
        else pb.NotDiamondTrace(model=asked.model, problem=asked.problem, elapsed=_duration(asked.elapsed_seconds)),
        outcomes=[_write_report(report) for report in reports],
        metadata=request.metadata,
    )


def write_model(model: Model, catalog: Catalog) -> pb.Model:
    """One entry of the catalogue."""
    prior = catalog.prior_of(model)
    return pb.Model(
        id=model.id,
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        input_usd_per_mtok=model.input_usd_per_mtok,
        output_usd_per_mtok=model.output_usd_per_mtok,
        cache_read_usd_per_mtok=model.cache_read_usd_per_mtok,
        vision=model.vision,
        tools=model.tools,
        json=model.json_mode,
        quality=prior.pass_rate_2 / 100,
        quality_source=f"{model.prior_kind}: {prior.name}",
        source=model.source,
        checked=model.checked.isoformat(),
    )


def write_profile(profile: Profile, catalog: Catalog) -> pb.Profile:
    """One routing policy, its globs resolved."""
    return pb.Profile(
        name=profile.name,
        description=profile.description,
        candidates=catalog.expand(profile),
        cost_quality_tradeoff=profile.cost_quality_tradeoff,
        not_diamond=profile.not_diamond,
    )


def _choice_violations(message: pb.SelectModelRequest) -> list[FieldViolation]:
    which = message.WhichOneof("choice")
    if which is None or (which == "profile" and not message.profile):
        return [FieldViolation("choice", "set one of profile, candidates and model")]
    if which == "profile":
        return []
    if which == "model":
        names, field = [message.model], "model"
    else:
        names, field = list(message.candidates.models), "candidates.models"
    if not 1 <= len(names) <= MAX_CANDIDATES:
        return [FieldViolation(field, f"holds {len(names)} entries; give 1 to {MAX_CANDIDATES}")]
    wrong = [name for name in names if len(name) > MAX_MODEL_LENGTH or not re.fullmatch(MODEL_ID, name)]
    return [FieldViolation(field, f"{name[:80]!r} is not provider/model, such as openai/gpt-5.2") for name in wrong]


def _detail_violations(message: pb.SelectModelRequest) -> list[FieldViolation]:
    found = []
    if message.HasField("cost_quality_tradeoff") and message.cost_quality_tradeoff > MAX_TRADEOFF:
        text = f"is {message.cost_quality_tradeoff}; give 0 (quality) to {MAX_TRADEOFF} (cost)"
        found.append(FieldViolation("cost_quality_tradeoff", text))
    if message.purpose and message.purpose not in PURPOSES:
        found.append(FieldViolation("purpose", f"{message.purpose} is not a purpose of this contract"))
    for field, longest in TEXT_LIMITS.items():
        if len(getattr(message, field)) > longest:
            found.append(FieldViolation(field, f"is longer than {longest} characters"))
    if len(message.messages) > MAX_MESSAGES:
        found.append(
            FieldViolation("messages", f"holds more than {MAX_MESSAGES}; clip the conversation to what decides")
        )
        return found
    providers = message.available_providers
    if len(providers) > MAX_NAMES or any(len(name) > MAX_NAMES for name in providers):
        found.append(FieldViolation("available_providers", f"holds more than {MAX_NAMES} entries or characters"))
    for position, turn in enumerate(message.messages):
        if turn.role not in ROLES:
            text = f"is {turn.role[:20]!r}; give one of {', '.join(sorted(ROLES))}"
            found.append(FieldViolation(f"messages[{position}].role", text))
    too_long = [key for key, value in message.metadata.items() if max(len(key), len(value)) > MAX_METADATA_LENGTH]
    if len(message.metadata) > MAX_METADATA or too_long:
        text = f"holds more than {MAX_METADATA} entries, or one longer than {MAX_METADATA_LENGTH} characters"
        found.append(FieldViolation("metadata", text))
    return found


def _write_ranked(entry: Ranked) -> pb.RankedModel:
    return pb.RankedModel(
        model=entry.model,
        reason=entry.reason,
        expected_cost_usd=entry.expected_cost_usd,
        context_tokens=entry.context_tokens,
        quality=entry.quality,
        score=entry.score,
    )


def _write_report(report: Report) -> pb.ReportOutcomeRequest:
    return pb.ReportOutcomeRequest(
        decision_id=report.decision_id,
        served_model=report.served_model,
        outcome=pb.Outcome.Value(f"OUTCOME_{report.outcome.upper()}"),
        input_tokens=report.input_tokens,
        output_tokens=report.output_tokens,
        cached_input_tokens=report.cached_input_tokens,
        cost_usd=report.cost_usd,
        latency=_duration(report.latency_seconds),
        time_to_first_byte=_duration(report.time_to_first_byte_seconds),
    )


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def _duration(seconds: float) -> Duration | None:
    if not seconds:
        return None
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
