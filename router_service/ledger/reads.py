"""What the ledger asks of its database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Text, and_, case, func, not_, or_, select, tuple_

from router_service.domain import FAILURES, Decision, Outcome, Purpose, Source
from router_service.ledger.documents import decision_from, report_from
from router_service.ledger.summaries import VERDICTS, Position, write_token
from router_service.ledger.sums import TO_MEND, TURNS, UNANSWERED
from router_service.ledger.tables import DECISIONS, REPORTS, storable
from router_service.records import Page, Query, Report, Savings, Spending, Summary, Verdict

D = DECISIONS.c
# Documents are read as text; what they say is `documents`' to know.
TRACE, DOCUMENT = D.trace.cast(Text).label("trace"), REPORTS.c.document.cast(Text)
# Who answered: the model that was chosen, unless another one is known to have stepped in.
ANSWERED = func.coalesce(func.nullif(D.served_model, ""), D.model).label("answered")
VERDICT = (D.id, D.reported_at, D.tenant, D.purpose, D.edit_format, ANSWERED, D.outcome, D.previous_outcome)


def is_kept(connection: Connection, decision_id: str) -> bool:
    """Whether there is such a decision."""
    return connection.scalar(select(D.id).where(D.id == storable(decision_id))) is not None


def find(connection: Connection, decision_id: str) -> Decision | None:
    """The decision of this id."""
    document = connection.scalar(select(TRACE).where(D.id == storable(decision_id)))
    return None if document is None else decision_from(document)


def reports_of(connection: Connection, decision_id: str) -> tuple[Report, ...]:
    """The reports of a decision, in the order of arrival."""
    found = select(DOCUMENT).where(REPORTS.c.decision_id == storable(decision_id))
    return tuple(report_from(document) for document in connection.scalars(found.order_by(REPORTS.c.position)))


def page_of(connection: Connection, query: Query, size: int, start: Position | None) -> Page:
    """A page of summaries, latest first, from after `start`."""
    rows = select(DECISIONS).with_only_columns(*(column for column in D if column is not D.trace))
    rows = rows.where(*_matching(query)).order_by(D.time.desc(), D.id.desc()).limit(size + 1)
    if start is not None:
        rows = rows.where(tuple_(D.time, D.id) < tuple_(start[0], storable(start[1])))
    found = [_summary(row) for row in connection.execute(rows)]
    page = tuple(found[:size])
    return Page(page, write_token(page[-1]) if len(found) > size else "")


def savings(connection: Connection, query: Query) -> tuple[Savings, ...]:
    """Sums for each purpose and model, the dearest first."""
    return tuple(
        Savings(
            purpose=Purpose(row.purpose),
            model=row.answered,
            decisions=row.decisions,
            reported=int(row.reported),
            input_tokens=int(row.input_tokens),
            output_tokens=int(row.output_tokens),
            cost_usd=row.cost_usd,
            baseline_cost_usd=row.baseline_cost_usd,
            turns=int(row.turns),
            applied_first_time=int(row.applied_first_time),
            applied=int(row.applied),
            rescued=int(row.rescued),
            failed=int(row.failed),
            escalated=int(row.escalated),
            strongest_cost_usd=row.strongest_cost_usd,
            cheapest_cost_usd=row.cheapest_cost_usd,
            estimated=int(row.estimated),
            judged=int(row.judged),
            replies=int(row.replies),
        )
        for row in connection.execute(_sums(query))
    )


def spending(connection: Connection, since: float, until: float) -> tuple[Spending, ...]:
    """What each caller's replies have cost, by caller; the index `decisions_by_spending` has all that it reads."""
    cost = func.sum(func.coalesce(D.cost_usd, 0.0)).label("cost_usd")
    sums = select(D.caller, cost, func.count().label("decisions")).where(*_matching(Query(since=since, until=until)))
    rows = (Spending(row.caller, row.cost_usd, row.decisions) for row in connection.execute(sums.group_by(D.caller)))
    # Sorted here: the order of the database depends on its collation.
    return tuple(sorted(rows, key=lambda row: row.caller))


def verdicts(connection: Connection, since: float, limit: int) -> tuple[Verdict, ...]:
    """How replies fared that were reported on at or after `since`: the latest `limit`, in the order of their reports."""
    rows = select(*VERDICT).where(D.outcome.in_(sorted(VERDICTS)), D.reported_at >= since)
    found = connection.execute(rows.order_by(D.reported_at.desc(), D.id.desc()).limit(limit)).all()
    return tuple(_verdict(row) for row in reversed(found))


def judged(connection: Connection, query: Query, limit: int) -> tuple[tuple[Decision, Verdict], ...]:
    """Decisions with how their replies fared: the latest `limit`, in the order of the decisions."""
    rows = select(*VERDICT, TRACE).where(D.outcome.in_(sorted(VERDICTS)), *_matching(query))
    found = connection.execute(rows.order_by(D.time.desc(), D.id.desc()).limit(limit)).all()
    return tuple((decision_from(row.trace), _verdict(row)) for row in reversed(found))


def _sums(query: Query) -> Select[tuple[object, ...]]:
    cost = func.sum(func.coalesce(D.cost_usd, 0.0)).label("cost_usd")
    applied = D.outcome == Outcome.APPLIED.value
    mends = D.previous_outcome.in_(sorted(TO_MEND))
    turn = and_(D.purpose.in_(sorted(TURNS)), not_(mends), D.outcome != Outcome.PROVIDER_FAILED.value)
    reported = D.input_tokens + D.output_tokens > 0
    sums = select(
        D.purpose,
        ANSWERED,
        func.count().label("decisions"),
        _count(reported).label("reported"),
        func.sum(D.input_tokens).label("input_tokens"),
        func.sum(D.output_tokens).label("output_tokens"),
        cost,
        _compared(D.baseline_actual_cost_usd).label("baseline_cost_usd"),
        _count(turn).label("turns"),
        _count(and_(turn, applied)).label("applied_first_time"),
        _count(and_(applied, reported, D.cost_usd.is_not(None))).label("applied"),
        _count(and_(applied, mends)).label("rescued"),
        _count(D.outcome.in_(sorted(FAILURES))).label("failed"),
        _count(D.source == Source.ESCALATED.value).label("escalated"),
        _compared(D.strongest_actual_cost_usd).label("strongest_cost_usd"),
        _compared(D.cheapest_actual_cost_usd).label("cheapest_cost_usd"),
        _count(D.tokens_estimated).label("estimated"),
        _count(and_(turn, D.outcome.in_(sorted(VERDICTS)))).label("judged"),
        _count(or_(reported, D.outcome.not_in(sorted(UNANSWERED)))).label("replies"),
    )
    return sums.where(*_matching(query)).group_by(D.purpose, ANSWERED).order_by(cost.desc(), D.purpose, ANSWERED)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _compared(other: ColumnElement[float | None]) -> ColumnElement[float]:
    """Another model's costs: what has none counts as it cost, and what has no cost counts nowhere."""
    return func.sum(case((D.cost_usd.is_(None), 0.0), else_=func.coalesce(other, D.cost_usd)))


def _matching(query: Query) -> list[ColumnElement[bool]]:
    conditions = [
        column == storable(text)
        for column, text in (
            (D.tenant, query.tenant),
            (D.profile, query.profile),
            (D.conversation_id, query.conversation_id),
            (D.model, query.model),
        )
        if text
    ]
    if query.since:
        conditions.append(D.time >= query.since)
    if query.until:
        conditions.append(D.time < query.until)
    return conditions


def _verdict(row: Row[Any]) -> Verdict:
    return Verdict(
        decision_id=row.id,
        reported=row.reported_at,
        tenant=row.tenant,
        purpose=Purpose(row.purpose),
        edit_format=row.edit_format,
        model=row.answered,
        outcome=Outcome(row.outcome),
        first=row.previous_outcome not in FAILURES,
    )


def _summary(row: Row[tuple[object, ...]]) -> Summary:
    return Summary(
        decision_id=row.id,
        time=row.time,
        tenant=row.tenant,
        profile=row.profile,
        purpose=Purpose(row.purpose),
        conversation_id=row.conversation_id,
        model=row.model,
        source=Source(row.source),
        reason=row.reason,
        expected_cost_usd=row.expected_cost_usd,
        served_model=row.served_model,
        outcome=Outcome(row.outcome),
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost_usd=row.cost_usd,
        baseline_cost_usd=row.baseline_actual_cost_usd,
        previous_outcome=Outcome(row.previous_outcome),
        strongest_cost_usd=row.strongest_actual_cost_usd,
        cheapest_cost_usd=row.cheapest_actual_cost_usd,
        tokens_estimated=row.tokens_estimated,
        caller=row.caller,
        time_to_first_byte_seconds=row.time_to_first_byte_seconds,
    )
