"""What a decision's reports add up to, its summary, and a page's token."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable

from msgspec.structs import replace

from router_service.domain import FAILURES, Decision, Outcome, Word
from router_service.errors import FieldViolation, InvalidRequest
from router_service.records import Query, Report, Summary, Verdict

# A reply has one delivery and a few verdicts; whoever reports more repeats itself.
MOST_REPORTS = 32

# What says how a reply fared; the other outcomes say whether it was delivered, or nothing.
VERDICTS = FAILURES | {Outcome.APPLIED, Outcome.NO_EDITS, Outcome.INTERRUPTED}

Position = tuple[float, str]


class Arrived(Word, frozen=True):
    """A report, and when it came, in seconds since the epoch."""

    report: Report
    received: float


class Reported(Word, frozen=True):
    """What all reports of a decision say together; one attribute a column."""

    served_model: str = ""
    outcome: Outcome = Outcome.UNKNOWN
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cost_usd: float | None = None
    baseline_actual_cost_usd: float | None = None
    strongest_actual_cost_usd: float | None = None
    cheapest_actual_cost_usd: float | None = None
    reported_at: float | None = None
    tokens_estimated: bool = False
    time_to_first_byte_seconds: float = 0.0


def add_up(arrivals: Iterable[Arrived]) -> Reported:
    """The latest report wins, except where it does not know what an earlier one knew.

    How a reply fared outranks that it was delivered, in whatever order the two arrive.
    """
    known = Reported()
    for arrived in arrivals:
        report = arrived.report
        settled = known.outcome in VERDICTS and report.outcome not in VERDICTS
        known = replace(
            known,
            served_model=report.served_model or known.served_model,
            outcome=known.outcome if settled else report.outcome,
            reported_at=max(known.reported_at or 0.0, arrived.received),
            time_to_first_byte_seconds=report.time_to_first_byte_seconds or known.time_to_first_byte_seconds,
        )
        if report.tokens_estimated and known.input_tokens and not known.tokens_estimated:
            # What the provider counted is better than what was estimated, whichever came first.
            continue
        if report.input_tokens or report.output_tokens:
            known = replace(
                known,
                input_tokens=report.input_tokens,
                output_tokens=report.output_tokens,
                cached_input_tokens=report.cached_input_tokens,
                tokens_estimated=report.tokens_estimated,
            )
        # The costs are of the same tokens, so they are taken together.
        if _finite(report.cost_usd) is not None:
            known = replace(
                known,
                cost_usd=report.cost_usd,
                baseline_actual_cost_usd=_finite(report.baseline_cost_usd),
                strongest_actual_cost_usd=_finite(report.strongest_cost_usd),
                cheapest_actual_cost_usd=_finite(report.cheapest_cost_usd),
            )
    return known


def summarise(decision: Decision, reported: Reported) -> Summary:
    """The decision's entry in a list."""
    request = decision.request
    return Summary(
        decision_id=decision.id,
        time=decision.time,
        tenant=request.tenant,
        profile=request.profile,
        purpose=request.purpose,
        conversation_id=request.conversation_id,
        model=decision.model,
        source=decision.source,
        reason=decision.reason,
        expected_cost_usd=decision.ranking[0].expected_cost_usd if decision.ranking else None,
        served_model=reported.served_model,
        outcome=reported.outcome,
        input_tokens=reported.input_tokens,
        output_tokens=reported.output_tokens,
        cost_usd=reported.cost_usd,
        baseline_cost_usd=reported.baseline_actual_cost_usd,
        previous_outcome=request.previous_reply.outcome,
        strongest_cost_usd=reported.strongest_actual_cost_usd,
        cheapest_cost_usd=reported.cheapest_actual_cost_usd,
        tokens_estimated=reported.tokens_estimated,
        caller=request.caller,
        time_to_first_byte_seconds=reported.time_to_first_byte_seconds,
    )


def verdict_of(decision: Decision, reported: Reported) -> Verdict | None:
    """How the reply to a decision fared; None while nothing says so."""
    request = decision.request
    if reported.outcome not in VERDICTS:
        return None
    return Verdict(
        decision_id=decision.id,
        reported=reported.reported_at or 0.0,
        tenant=request.tenant,
        purpose=request.purpose,
        edit_format=request.edit_format,
        model=reported.served_model or decision.model,
        outcome=reported.outcome,
        first=request.previous_reply.outcome not in FAILURES,
    )


def matches(summary: Summary, query: Query) -> bool:
    """Whether a query asks for this decision."""
    return (
        (not query.tenant or summary.tenant == query.tenant)
        and (not query.profile or summary.profile == query.profile)
        and (not query.conversation_id or summary.conversation_id == query.conversation_id)
        and (not query.model or summary.model == query.model)
        and (not query.since or summary.time >= query.since)
        and (not query.until or summary.time < query.until)
    )


def write_token(summary: Summary) -> str:
    """The token of the page that follows this entry."""
    return base64.urlsafe_b64encode(json.dumps([summary.time, summary.decision_id]).encode()).decode()


def read_token(token: str) -> Position | None:
    """Where a page starts, None at the latest; InvalidRequest when no page gave this token."""
    if not token:
        return None
    try:
        match json.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True)):
            case [float(time), str(decision_id)] if math.isfinite(time):
                return time, decision_id
    except ValueError:
        pass
    raise InvalidRequest([FieldViolation("page_token", "is not one of this list's; leave it empty for the first page")])


def _finite(cost: float | None) -> float | None:
    return cost if cost is not None and math.isfinite(cost) else None
