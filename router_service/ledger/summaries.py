"""What a decision's reports add up to, its summary, the sums over many, and a page's token."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from router_service.domain import Decision, Outcome, Query, Report, Savings, Summary
from router_service.errors import FieldViolation, InvalidRequest

# A reply has one delivery and a few verdicts; whoever reports more repeats itself.
MOST_REPORTS = 32

Position = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Reported:
    """What all reports of a decision say together; one attribute a column."""

    served_model: str = ""
    outcome: Outcome = Outcome.UNKNOWN
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cost_usd: float | None = None
    baseline_actual_cost_usd: float | None = None


def add_up(reports: Iterable[Report]) -> Reported:
    """The latest report wins, except where it does not know what an earlier one knew."""
    known = Reported()
    for report in reports:
        known = replace(known, served_model=report.served_model or known.served_model, outcome=report.outcome)
        if report.input_tokens or report.output_tokens:
            known = replace(
                known,
                input_tokens=report.input_tokens,
                output_tokens=report.output_tokens,
                cached_input_tokens=report.cached_input_tokens,
            )
        # The two costs are of the same tokens, so they are taken together.
        if _finite(report.cost_usd) is not None:
            baseline = _finite(report.baseline_cost_usd)
            known = replace(known, cost_usd=report.cost_usd, baseline_actual_cost_usd=baseline)
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


def sum_up(summaries: Iterable[Summary]) -> tuple[Savings, ...]:
    """Sums for each purpose and model, the dearest first; a decision without a baseline counts as it cost."""
    groups: dict[tuple[str, str], Savings] = {}
    for entry in summaries:
        model = entry.served_model or entry.model
        sums = groups.get((entry.purpose, model)) or Savings(entry.purpose, model, 0, 0, 0, 0, 0.0, 0.0)
        cost = entry.cost_usd or 0.0
        baseline = cost if entry.cost_usd is None or entry.baseline_cost_usd is None else entry.baseline_cost_usd
        groups[entry.purpose, model] = Savings(
            entry.purpose,
            model,
            sums.decisions + 1,
            sums.reported + bool(entry.input_tokens or entry.output_tokens),
            sums.input_tokens + entry.input_tokens,
            sums.output_tokens + entry.output_tokens,
            sums.cost_usd + cost,
            sums.baseline_cost_usd + baseline,
        )
    return tuple(sorted(groups.values(), key=lambda sums: (-sums.cost_usd, str(sums.purpose), sums.model)))


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
