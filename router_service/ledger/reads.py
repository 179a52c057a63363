"""What the ledger asks of its database."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Row, Select, case, func, select, tuple_

from router_service.domain import Decision, Outcome, Page, Purpose, Query, Report, Savings, Source, Summary
from router_service.ledger.documents import decision_from, report_from
from router_service.ledger.summaries import Position, write_token
from router_service.ledger.tables import DECISIONS, REPORTS, storable

D = DECISIONS.c


def is_kept(connection: Connection, decision_id: str) -> bool:
    """Whether there is such a decision."""
    return connection.scalar(select(D.id).where(D.id == storable(decision_id))) is not None


def find(connection: Connection, decision_id: str) -> Decision | None:
    """The decision of this id."""
    document = connection.scalar(select(D.trace).where(D.id == storable(decision_id)))
    return None if document is None else decision_from(document)


def reports_of(connection: Connection, decision_id: str) -> tuple[Report, ...]:
    """The reports of a decision, in the order of arrival."""
    found = select(REPORTS.c.document).where(REPORTS.c.decision_id == storable(decision_id))
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
        )
        for row in connection.execute(_sums(query))
    )


def _sums(query: Query) -> Select[tuple[object, ...]]:
    answered = func.coalesce(func.nullif(D.served_model, ""), D.model).label("answered")
    cost = func.sum(func.coalesce(D.cost_usd, 0.0)).label("cost_usd")
    # What has no baseline counts as it cost, and what has no cost counts nowhere.
    baseline = case((D.cost_usd.is_(None), 0.0), else_=func.coalesce(D.baseline_actual_cost_usd, D.cost_usd))
    sums = select(
        D.purpose,
        answered,
        func.count().label("decisions"),
        func.sum(case((D.input_tokens + D.output_tokens > 0, 1), else_=0)).label("reported"),
        func.sum(D.input_tokens).label("input_tokens"),
        func.sum(D.output_tokens).label("output_tokens"),
        cost,
        func.sum(baseline).label("baseline_cost_usd"),
    )
    return sums.where(*_matching(query)).group_by(D.purpose, answered).order_by(cost.desc(), D.purpose, answered)


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
    )
