"""Reads the contract's requests into the domain's words, and names every field that breaks a rule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from protos.router.v1 import router_pb2 as pb
from router_service.catalog import MODEL_ID
from router_service.domain import NOBODY, Leased, Message, Outcome, PreviousReply, Purpose, Request, Requirements
from router_service.errors import FieldViolation, InvalidRequest
from router_service.records import Query, Report
from router_service.tracing.span import TraceContext
from router_service.wire.words import OUTCOMES, PURPOSES, seconds

MAX_CANDIDATES = 64
MAX_METADATA = 16
MAX_METADATA_LENGTH = 128
MAX_TRADEOFF = 10
MAX_MODEL_LENGTH = 200
MAX_NAMES = 64
MAX_MESSAGES = 1000
LONGEST_LATENCY = 86_400.0
MOST_DOLLARS = 1e6
# Characters that a text of the request may have; they are kept with the decision.
TEXT_LIMITS = {
    "profile": 64,
    "conversation_id": 128,
    "preference_id": 128,
    "edit_format": 32,
    "tenant": 64,
    "caller": 64,
}
ROLES = frozenset({"system", "user", "assistant", "tool"})
MAX_BATCH = 256
MAX_PAGE, DEFAULT_PAGE = 1000, 100
MAX_ADAPTATIONS = 16
LEASED_ID = re.compile(r"lease_[0-9a-f]{32}")
ADAPTATION = re.compile(r"[a-z0-9_]{1,64}")


def read_request(message: pb.SelectModelRequest) -> Request:
    """A checked request; InvalidRequest names every field that breaks a rule."""
    needs, previous, tradeoff = message.requirements, message.previous_reply, message.cost_quality_tradeoff
    # A list that is too long is read as an empty one; it is refused below.
    turns = message.messages if len(message.messages) <= MAX_MESSAGES else ()
    request = Request(
        # From a list: a tuple from a generator takes longer, and there may be many turns.
        messages=tuple([Message(turn.role, turn.text) for turn in turns]),
        profile=message.profile,
        candidates=_named(message.candidates.models) if message.HasField("candidates") else (),
        model=message.model,
        purpose=PURPOSES.get(message.purpose, Purpose.CHAT),
        edit_format=message.edit_format,
        conversation_id=message.conversation_id,
        requirements=Requirements(
            needs.input_tokens, needs.output_tokens, needs.vision, needs.tools, needs.json, needs.prefix_tokens
        ),
        available_providers=_few(message.available_providers),
        cost_quality_tradeoff=tradeoff if message.HasField("cost_quality_tradeoff") else None,
        preference_id=message.preference_id,
        previous_reply=PreviousReply(
            OUTCOMES.get(previous.outcome, Outcome.UNKNOWN),
            previous.model,
            previous.decision_id,
            previous.consecutive_failures,
        ),
        metadata=dict(message.metadata) if 0 < len(message.metadata) <= MAX_METADATA else {},
        tenant=message.tenant,
        ignore_pin=message.ignore_pin,
        unhealthy_providers=_few(message.unhealthy_providers),
        continuation=message.continuation,
        caller=message.caller,
    )
    violations = [*_choice_violations(message), *_detail_violations(message, request)]
    if violations:
        raise InvalidRequest(violations)
    return request


def read_trace(message: pb.SelectModelRequest, call: Iterable[tuple[str, str | bytes]] = ()) -> TraceContext:
    """Which trace a request belongs to: its own word counts, else that of its call's metadata, `call`."""
    if message.HasField("trace_context"):
        told = message.trace_context
        return TraceContext(told.traceparent, told.tracestate)
    parents = [value for name, value in call if name == "traceparent" and isinstance(value, str)]
    states = [value for name, value in call if name == "tracestate" and isinstance(value, str)]
    # Two parents are none.
    return TraceContext(parents[0] if len(parents) == 1 else "", ",".join(states))


def read_report(message: pb.ReportOutcomeRequest) -> Report:
    """A checked report; InvalidRequest names every field that breaks a rule."""
    violations = []
    if not message.decision_id:
        violations.append(FieldViolation("decision_id", "is required; it stands in SelectModelResponse"))
    if message.outcome not in OUTCOMES:
        violations.append(FieldViolation("outcome", "is required; name one of the contract's outcomes"))
    if len(message.decision_id) > MAX_MODEL_LENGTH or len(message.served_model) > MAX_MODEL_LENGTH:
        violations.append(FieldViolation("served_model", f"and decision_id hold at most {MAX_MODEL_LENGTH} characters"))
    if message.HasField("cost_usd") and not 0 <= message.cost_usd < MOST_DOLLARS:
        violations.append(FieldViolation("cost_usd", "is not an amount of dollars"))
    if message.cached_input_tokens > message.input_tokens:
        violations.append(FieldViolation("cached_input_tokens", "is more than input_tokens"))
    for field in ("latency", "time_to_first_byte"):
        if not 0 <= seconds(getattr(message, field)) <= LONGEST_LATENCY:
            violations.append(FieldViolation(field, "is not a duration between 0 and a day"))
    violations += _adaptation_violations(message)
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
        latency_seconds=seconds(message.latency),
        time_to_first_byte_seconds=seconds(message.time_to_first_byte),
        tokens_estimated=message.tokens_estimated,
        adaptations=tuple(message.adaptations),
    )


def read_batch(message: pb.SelectModelsRequest | pb.SelectModelStreamRequest) -> Sequence[pb.SelectModelRequest]:
    """The requests of a batch, each still to be read."""
    _check_batch("requests", len(message.requests))
    return message.requests


def check_reports(message: pb.ReportOutcomesRequest) -> None:
    """InvalidRequest when a batch holds no entry or too many; each is still to be read."""
    _check_batch("reports", len(message.reports) + len(message.leased))


def read_leased(message: pb.LeasedDecision) -> Leased:
    """A checked leased decision; InvalidRequest names every field that breaks a rule."""
    if not LEASED_ID.fullmatch(message.decision_id):
        text = "is required: lease_ and 32 hexadecimal digits, of the caller's own making"
        raise InvalidRequest([FieldViolation("decision_id", text)])
    if not 1 <= len(message.lease) <= MAX_MODEL_LENGTH or not message.HasField("time"):
        text = f"and time are required; it holds at most {MAX_MODEL_LENGTH} characters"
        raise InvalidRequest([FieldViolation("lease", text)])
    return Leased(message.decision_id, message.lease, seconds(message.time), read_request(message.request))


def _check_batch(field: str, held: int) -> None:
    if not 1 <= held <= MAX_BATCH:
        raise InvalidRequest([FieldViolation(field, f"holds {held} {field}; give 1 to {MAX_BATCH}")])


def read_list(message: pb.ListDecisionsRequest) -> tuple[Query, int]:
    """Which decisions to list, and how many at most."""
    if message.page_size > MAX_PAGE:
        text = f"is {message.page_size}; give 1 to {MAX_PAGE}"
        raise InvalidRequest([FieldViolation("page_size", text)])
    query = Query(
        tenant=message.tenant,
        profile=message.profile,
        conversation_id=message.conversation_id,
        model=message.model,
        since=seconds(message.since),
    )
    return query, message.page_size or DEFAULT_PAGE


def read_savings(message: pb.GetSavingsRequest) -> Query:
    """Which decisions to sum up."""
    return Query(
        tenant=message.tenant, profile=message.profile, since=seconds(message.since), until=seconds(message.until)
    )


def read_spending(message: pb.GetSpendingRequest) -> tuple[float, float]:
    """Since when and until when to sum up, in seconds since the epoch; 0 does not restrict."""
    return seconds(message.since), seconds(message.until)


def _named(models: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(models)) if len(models) <= MAX_CANDIDATES else ()


def _few(names: Sequence[str]) -> frozenset[str]:
    """The names; none where there are too many."""
    return frozenset(names) if 0 < len(names) <= MAX_NAMES else NOBODY


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


def _adaptation_violations(message: pb.ReportOutcomeRequest) -> list[FieldViolation]:
    names = message.adaptations
    if len(names) > MAX_ADAPTATIONS:
        return [FieldViolation("adaptations", f"holds {len(names)} names; give at most {MAX_ADAPTATIONS}")]
    return [
        FieldViolation(
            f"adaptations[{position}]", "is not a rule's name; give 1 to 64 characters of a to z, 0 to 9 and _"
        )
        for position, name in enumerate(names)
        if not ADAPTATION.fullmatch(name)
    ]


def _detail_violations(message: pb.SelectModelRequest, request: Request) -> list[FieldViolation]:
    found = []
    if request.cost_quality_tradeoff is not None and request.cost_quality_tradeoff > MAX_TRADEOFF:
        text = f"is {request.cost_quality_tradeoff}; give 0 (quality) to {MAX_TRADEOFF} (cost)"
        found.append(FieldViolation("cost_quality_tradeoff", text))
    if message.purpose and message.purpose not in PURPOSES:
        found.append(FieldViolation("purpose", f"{message.purpose} is not a purpose of this contract"))
    for field, longest in TEXT_LIMITS.items():
        if len(getattr(request, field)) > longest:
            found.append(FieldViolation(field, f"is longer than {longest} characters"))
    if max(len(request.previous_reply.model), len(request.previous_reply.decision_id)) > MAX_MODEL_LENGTH:
        text = f"holds a model or a decision_id longer than {MAX_MODEL_LENGTH} characters"
        found.append(FieldViolation("previous_reply", text))
    if len(message.messages) > MAX_MESSAGES:
        found.append(
            FieldViolation("messages", f"holds more than {MAX_MESSAGES}; clip the conversation to what decides")
        )
        return found
    for field in ("available_providers", "unhealthy_providers"):
        if len(getattr(message, field)) > MAX_NAMES or max(map(len, getattr(request, field)), default=0) > MAX_NAMES:
            found.append(FieldViolation(field, f"holds more than {MAX_NAMES} entries or characters"))
    for position, turn in enumerate(request.messages):
        if turn.role not in ROLES:
            text = f"is {turn.role[:20]!r}; give one of {', '.join(sorted(ROLES))}"
            found.append(FieldViolation(f"messages[{position}].role", text))
    if len(message.metadata) > MAX_METADATA or any(
        max(len(key), len(value)) > MAX_METADATA_LENGTH for key, value in request.metadata.items()
    ):
        text = f"holds more than {MAX_METADATA} entries, or one longer than {MAX_METADATA_LENGTH} characters"
        found.append(FieldViolation("metadata", text))
    return found
