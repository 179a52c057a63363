"""Reads the router's messages into what the page shows, and writes the page's question."""

from __future__ import annotations

from edge_gateway.page.views import (
    Candidate,
    Explanation,
    Learning,
    NotDiamond,
    Profile,
    Removed,
    Report,
    Row,
    Sum,
    Trial,
)
from protos.router.v1 import router_pb2 as pb

CHARACTERS_PER_TOKEN = 4

_PURPOSES = {number: name.removeprefix("PURPOSE_").lower() for name, number in pb.Purpose.items()}
_OUTCOMES = {number: name.removeprefix("OUTCOME_").lower() for name, number in pb.Outcome.items()}
_SOURCES = {number: name.removeprefix("DECISION_SOURCE_").lower() for name, number in pb.DecisionSource.items()}
_NUMBERS = {name: number for number, name in _PURPOSES.items()}
PURPOSES = tuple(name for number, name in _PURPOSES.items() if number)
SOURCES = tuple(name for number, name in _SOURCES.items() if number)
# What a newer router says and this edge does not know.
UNSPECIFIED = "unspecified"


def read_summary(summary: pb.DecisionSummary) -> Row:
    """A decision in a list."""
    return Row(
        id=summary.decision_id,
        time=_seconds(summary.time),
        tenant=summary.tenant,
        profile=summary.profile,
        purpose=_PURPOSES.get(summary.purpose, UNSPECIFIED),
        conversation=summary.conversation_id,
        model=summary.model,
        source=_SOURCES.get(summary.source, UNSPECIFIED),
        reason=summary.reason,
        previous=_OUTCOMES.get(summary.previous_outcome, UNSPECIFIED),
        caller=summary.caller,
        expected_cost=summary.expected_cost_usd if summary.HasField("expected_cost_usd") else None,
        served_model=summary.served_model,
        outcome=_OUTCOMES.get(summary.outcome, UNSPECIFIED),
        cost=summary.cost_usd if summary.HasField("cost_usd") else None,
        first_token=_seconds(summary.time_to_first_byte) or None,
    )


def read_report(report: pb.ReportOutcomeRequest) -> Report:
    """What was told of a reply."""
    return Report(
        decision_id=report.decision_id,
        served_model=report.served_model,
        outcome=_OUTCOMES.get(report.outcome, UNSPECIFIED),
        input_tokens=report.input_tokens,
        output_tokens=report.output_tokens,
        cached_tokens=report.cached_input_tokens,
        estimated=report.tokens_estimated,
        cost=report.cost_usd if report.HasField("cost_usd") else None,
        first_token=_seconds(report.time_to_first_byte),
        latency=_seconds(report.latency),
        adaptations=tuple(report.adaptations),
    )


def read_explanation(answer: pb.ExplainDecisionResponse) -> Explanation:
    """The whole trace of a decision."""
    previous, pin, shadow, learning = answer.previous_reply, answer.pin, answer.shadow, answer.learning
    reports = tuple(read_report(report) for report in answer.outcomes)
    row = _row_of(answer)
    for report in reports:
        row = row.told(report)
    return Explanation(
        row=row,
        ranking=_ranking(answer.decision),
        facts=_facts(answer),
        removed=tuple(Removed(entry.model, entry.filter, entry.detail) for entry in answer.removed),
        not_diamond=_not_diamond(answer.not_diamond) if answer.HasField("not_diamond") else None,
        pin=(pin.model, pin.kept, pin.reason) if answer.HasField("pin") else None,
        shadow=(
            shadow.profile,
            shadow.model,
            shadow.expected_cost_usd if shadow.HasField("expected_cost_usd") else None,
        )
        if answer.HasField("shadow")
        else None,
        learning=Learning(learning.mode, learning.model, learning.prior_model, learning.outcomes, learning.distrust)
        if answer.HasField("learning")
        else None,
        previous=(
            _OUTCOMES.get(previous.outcome, UNSPECIFIED),
            previous.model,
            previous.decision_id,
            previous.consecutive_failures,
        )
        if answer.HasField("previous_reply")
        else None,
        reports=reports,
        metadata=tuple(sorted(answer.metadata.items())),
    )


def read_decision(answer: pb.SelectModelResponse, trial: Trial, now: float) -> Explanation:
    """What a trial's answer alone tells, where its trace is not to be had. `now`: seconds since the epoch."""
    row = Row(
        answer.decision_id,
        now,
        trial.tenant,
        trial.profile,
        trial.purpose,
        "",
        answer.model,
        _SOURCES.get(answer.source, UNSPECIFIED),
        answer.reason,
        "none",
        trial.caller,
    )
    return Explanation(row, _ranking(answer), {})


def read_sums(answer: pb.GetSavingsResponse) -> tuple[Sum, ...]:
    """The sums by purpose and model, the dearest first."""
    return tuple(
        Sum(
            _PURPOSES.get(row.purpose, UNSPECIFIED),
            row.model,
            row.decisions,
            row.replies,
            row.reported,
            row.cost_usd,
            row.baseline_cost_usd,
            row.strongest_cost_usd,
            row.cheapest_cost_usd,
            row.judged,
            row.applied_first_time,
        )
        for row in answer.rows
    )


def read_profiles(answer: pb.ListProfilesResponse) -> tuple[Profile, ...]:
    """The routing policies."""
    return tuple(Profile(profile.name, profile.description) for profile in answer.profiles)


def write_trial(trial: Trial) -> pb.SelectModelRequest:
    """The question of a trial. It belongs to no conversation, so nothing is pinned by it."""
    return pb.SelectModelRequest(
        messages=[pb.Message(role="user", text=trial.text[: trial.shown])] if trial.shown else [],
        profile=trial.profile,
        purpose=_NUMBERS.get(trial.purpose, pb.PURPOSE_UNSPECIFIED),
        requirements=pb.Requirements(input_tokens=len(trial.text) // CHARACTERS_PER_TOKEN + 1),
        available_providers=trial.providers,
        metadata={"dry_run": "page"},
        tenant=trial.tenant,
        caller=trial.caller,
    )


def _row_of(answer: pb.ExplainDecisionResponse) -> Row:
    decision = answer.decision
    first = decision.ranking[0] if decision.ranking else None
    known = first is not None and first.HasField("expected_cost_usd")
    return Row(
        id=decision.decision_id,
        time=_seconds(answer.time),
        tenant=answer.tenant,
        profile=answer.profile,
        purpose=_PURPOSES.get(answer.purpose, UNSPECIFIED),
        conversation=answer.conversation_id,
        model=decision.model,
        source=_SOURCES.get(decision.source, UNSPECIFIED),
        reason=decision.reason,
        previous=_OUTCOMES.get(answer.previous_reply.outcome, UNSPECIFIED),
        caller=answer.caller,
        expected_cost=first.expected_cost_usd if first is not None and known else None,
    )


def _ranking(decision: pb.SelectModelResponse) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            model=entry.model,
            reason=entry.reason,
            cost=entry.expected_cost_usd if entry.HasField("expected_cost_usd") else None,
            quality=entry.quality if entry.HasField("quality") else None,
            prior_quality=entry.prior_quality if entry.HasField("prior_quality") else None,
            score=entry.score if entry.HasField("score") else None,
            switch_cost=entry.switch_cost_usd if entry.HasField("switch_cost_usd") else None,
            outcomes=entry.outcomes,
            context_tokens=entry.context_tokens,
        )
        for entry in decision.ranking
    )


def _facts(answer: pb.ExplainDecisionResponse) -> dict[str, str]:
    """What was asked for, in words; what was not said is left out."""
    needs, decision = answer.requirements, answer.decision
    also = [name for name in ("vision", "tools", "json") if getattr(needs, name)]
    facts = {
        "Profile": answer.profile,
        "Policy": answer.policy if answer.policy != answer.profile else "",
        "Cost or quality": f"{answer.cost_quality_tradeoff} of 10 (0 is quality alone, 10 cost alone)",
        "Edit format": answer.edit_format,
        "Input tokens": f"{needs.input_tokens:,}" if needs.input_tokens else "",
        "Output tokens": f"{needs.output_tokens:,}" if needs.output_tokens else "",
        "Known prefix": f"{needs.prefix_tokens:,} tokens" if needs.prefix_tokens else "",
        "Needs": ", ".join(also),
        "Baseline": decision.baseline_model,
        "Tenant": answer.tenant,
        "Caller": answer.caller,
        "Not Diamond session": decision.not_diamond_session_id,
        "Conversation": answer.conversation_id,
        "Decision": decision.decision_id,
    }
    return {name: value for name, value in facts.items() if value}


def _not_diamond(trace: pb.NotDiamondTrace) -> NotDiamond:
    return NotDiamond(trace.model, trace.problem, _seconds(trace.elapsed), trace.cached, tuple(trace.not_offered))


def _seconds(value: object) -> float:
    return float(value.seconds + value.nanos / 1e9)  # type: ignore[attr-defined]  # a Timestamp or a Duration
