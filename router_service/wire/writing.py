"""Writes decisions, traces and the catalogue in the contract's words."""

from __future__ import annotations

from protos.router.v1 import router_pb2 as pb
from router_service.catalog import Catalog, Model, Profile
from router_service.domain import Decision, LearningTrace, PreviousReply, Ranked, Removed
from router_service.errors import InvalidRequest, NoCandidate, RouterError
from router_service.ledger.sums import total
from router_service.records import Page, Report, Savings, Spending, Summary
from router_service.wire.words import SOURCES, duration, outcome_number, purpose_number, timestamp

# Removed candidates, or fields, that a refusal tells of, and letters of what it says of a field: as many as for one request.
MOST_TOLD, LONGEST_DETAIL = 20, 100


def write_decision(decision: Decision) -> pb.SelectModelResponse:
    """The answer to SelectModel."""
    written = pb.SelectModelResponse(
        decision_id=decision.id,
        model=decision.model,
        source=SOURCES[decision.source],
        reason=decision.reason,
        not_diamond_session_id=decision.consultation.session_id if decision.consultation else "",
        valid_for=duration(decision.valid_for_seconds),
        baseline_model=decision.baseline_model,
        baseline_cost_usd=decision.baseline_cost_usd,
        note=decision.note,
        lease=duration(decision.lease_seconds),
    )
    for entry in decision.ranking:
        _write_ranked(entry, written.ranking.add())
    return written


def write_explanation(decision: Decision, reports: tuple[Report, ...]) -> pb.ExplainDecisionResponse:
    """The whole trace of a decision."""
    request, asked = decision.request, decision.consultation
    pin, shadow = decision.pin, decision.shadow
    needs = request.requirements
    return pb.ExplainDecisionResponse(
        decision=write_decision(decision),
        purpose=purpose_number(request.purpose),
        profile=request.profile,
        conversation_id=request.conversation_id,
        requirements=pb.Requirements(
            input_tokens=needs.input_tokens,
            output_tokens=needs.output_tokens,
            vision=needs.vision,
            tools=needs.tools,
            json=needs.json,
            prefix_tokens=needs.prefix_tokens,
        ),
        cost_quality_tradeoff=decision.cost_quality_tradeoff,
        removed=[_write_removed(entry) for entry in decision.removed],
        not_diamond=None
        if asked is None
        else pb.NotDiamondTrace(
            model=asked.model,
            problem=asked.problem,
            elapsed=duration(asked.elapsed_seconds),
            cached=asked.cached,
            not_offered=asked.not_offered,
        ),
        outcomes=[write_report(report) for report in reports],
        metadata=request.metadata,
        time=timestamp(decision.time),
        tenant=request.tenant,
        policy=decision.policy,
        pin=None if pin is None else pb.PinTrace(model=pin.model, kept=pin.kept, reason=pin.reason),
        shadow=None
        if shadow is None
        else pb.ShadowTrace(profile=shadow.profile, model=shadow.model, expected_cost_usd=shadow.expected_cost_usd),
        edit_format=request.edit_format,
        previous_reply=_write_previous(request.previous_reply),
        learning=None if decision.learning is None else _write_learning(decision.learning),
        caller=request.caller,
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
        note=profile.note,
    )


def _write_ranked(entry: Ranked, written: pb.RankedModel) -> None:
    """Written in its place and field by field: a ranking is long, and an entry by keywords took three times as long."""
    written.model, written.reason = entry.model, entry.reason
    written.context_tokens, written.outcomes = entry.context_tokens, entry.outcomes
    if entry.expected_cost_usd is not None:
        written.expected_cost_usd = entry.expected_cost_usd
    if entry.quality is not None:
        written.quality = entry.quality
    if entry.score is not None:
        written.score = entry.score
    if entry.switch_cost_usd is not None:
        written.switch_cost_usd = entry.switch_cost_usd
    if entry.prior_quality is not None:
        written.prior_quality = entry.prior_quality


def _write_removed(entry: Removed) -> pb.RemovedCandidate:
    return pb.RemovedCandidate(model=entry.model, filter=entry.filter, detail=entry.detail)


def _write_previous(previous: PreviousReply) -> pb.PreviousReply | None:
    if previous == PreviousReply():
        return None
    return pb.PreviousReply(
        outcome=outcome_number(previous.outcome),
        model=previous.model,
        decision_id=previous.decision_id,
        consecutive_failures=previous.consecutive_failures,
    )


def _write_learning(learning: LearningTrace) -> pb.LearningTrace:
    return pb.LearningTrace(
        mode=learning.mode,
        model=learning.model,
        prior_model=learning.prior_model,
        outcomes=learning.outcomes,
        distrust=learning.distrust,
    )


def write_report(report: Report) -> pb.ReportOutcomeRequest:
    """A report, as its caller sent it."""
    return pb.ReportOutcomeRequest(
        decision_id=report.decision_id,
        served_model=report.served_model,
        outcome=outcome_number(report.outcome),
        input_tokens=report.input_tokens,
        output_tokens=report.output_tokens,
        cached_input_tokens=report.cached_input_tokens,
        cost_usd=report.cost_usd,
        latency=duration(report.latency_seconds),
        time_to_first_byte=duration(report.time_to_first_byte_seconds),
        tokens_estimated=report.tokens_estimated,
        adaptations=report.adaptations,
    )


def write_refusal(error: RouterError, code: int) -> pb.Refusal:
    """What a request or a report of a batch was refused with."""
    removed = error.most_telling(MOST_TOLD) if isinstance(error, NoCandidate) else ()
    violations = error.violations[:MOST_TOLD] if isinstance(error, InvalidRequest) else ()
    return pb.Refusal(
        code=code,
        reason=error.reason,
        message=str(error)[:1000],
        removed=[_write_removed(entry) for entry in removed],
        fields=[pb.FieldViolation(field=one.field, description=one.description[:LONGEST_DETAIL]) for one in violations],
    )


def write_result(result: pb.SelectModelResponse | pb.Refusal) -> pb.SelectModelsResult:
    """The answer to one request of a batch."""
    if isinstance(result, pb.Refusal):
        return pb.SelectModelsResult(refusal=result)
    return pb.SelectModelsResult(decision=result)


def write_placed(position: int, result: pb.SelectModelResponse | pb.Refusal) -> pb.SelectModelStreamResult:
    """The answer to one request of a batch, with the request's place."""
    if isinstance(result, pb.Refusal):
        return pb.SelectModelStreamResult(position=position, refusal=result)
    return pb.SelectModelStreamResult(position=position, decision=result)


def write_summary(summary: Summary) -> pb.DecisionSummary:
    """A decision in a list."""
    return pb.DecisionSummary(
        decision_id=summary.decision_id,
        time=timestamp(summary.time),
        tenant=summary.tenant,
        profile=summary.profile,
        purpose=purpose_number(summary.purpose),
        conversation_id=summary.conversation_id,
        model=summary.model,
        source=SOURCES[summary.source],
        reason=summary.reason,
        expected_cost_usd=summary.expected_cost_usd,
        served_model=summary.served_model,
        outcome=outcome_number(summary.outcome),
        input_tokens=summary.input_tokens,
        output_tokens=summary.output_tokens,
        cost_usd=summary.cost_usd,
        baseline_cost_usd=summary.baseline_cost_usd,
        previous_outcome=outcome_number(summary.previous_outcome),
        tokens_estimated=summary.tokens_estimated,
        caller=summary.caller,
        time_to_first_byte=duration(summary.time_to_first_byte_seconds),
    )


def write_server_info(release: str) -> pb.GetServerInfoResponse:
    """Which release answers, and how much of the contract it knows."""
    return pb.GetServerInfoResponse(release=release, contract_revision=max(pb.ContractRevision.values()))


def write_page(page: Page) -> pb.ListDecisionsResponse:
    """A page of a list."""
    return pb.ListDecisionsResponse(
        decisions=[write_summary(summary) for summary in page.summaries], next_page_token=page.next_token
    )


def write_savings(rows: tuple[Savings, ...]) -> pb.GetSavingsResponse:
    """The sums by purpose and model, the dearest first, and all of them together."""
    ordered = sorted(rows, key=lambda row: -row.cost_usd)
    return pb.GetSavingsResponse(rows=[_write_row(row) for row in ordered], total=_write_row(total(rows)))


def write_spending(rows: tuple[Spending, ...]) -> pb.GetSpendingResponse:
    """What each caller's replies have cost."""
    return pb.GetSpendingResponse(
        rows=[pb.Spending(caller=row.caller, cost_usd=row.cost_usd, decisions=row.decisions) for row in rows]
    )


def _write_row(row: Savings) -> pb.SavingsRow:
    return pb.SavingsRow(
        purpose=purpose_number(row.purpose),
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
        cost_per_applied_usd=row.cost_usd / row.applied if row.applied else None,
        strongest_cost_usd=row.strongest_cost_usd,
        cheapest_cost_usd=row.cheapest_cost_usd,
        estimated=row.estimated,
        judged=row.judged,
        replies=row.replies,
    )
