"""What the ledger writes to its database: batches of decisions and reports, and the end of what is too old."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from sqlalchemy import Connection, Text, delete, select

from router_service.domain import Decision
from router_service.ledger.documents import report_from
from router_service.ledger.statements import change, insert
from router_service.ledger.summaries import MOST_REPORTS, Arrived, add_up
from router_service.ledger.tables import DECISIONS, REPORTS, decision_row, report_row, reported_columns

OLD_ROWS = 1_000


def write(connection: Connection, entries: Sequence[Decision | Arrived]) -> None:
    """Keep a batch; writing it again changes nothing."""
    # Ordered, as below, for what callers decide under leases may be told to two replicas.
    decisions = sorted((decision_row(entry) for entry in entries if isinstance(entry, Decision)), key=itemgetter("id"))
    reports = [entry for entry in entries if isinstance(entry, Arrived)]
    insert(connection, DECISIONS, decisions)
    rows = [report_row(entry) for entry in reports]
    # Ordered, so that two replicas that report on the same decisions wait for each other and not in a circle.
    ids = sorted({row["id"] for row in decisions} | {row["decision_id"] for row in rows})
    if rows:
        # Whoever comes second adds up what the first has written.
        connection.execute(select(DECISIONS.c.id).where(DECISIONS.c.id.in_(ids)).order_by("id").with_for_update())
    known = _reports(connection, ids)
    fresh = []
    for row, entry in zip(rows, reports, strict=True):
        mine = known.setdefault(row["decision_id"], {})
        if row["key"] not in mine and len(mine) < MOST_REPORTS:
            mine[row["key"]] = entry
            fresh.append(row)
    insert(connection, REPORTS, fresh)
    _add_up(connection, known)


def delete_older(connection: Connection, before: float) -> bool:
    """Delete some of what is older than `before`; whether there may be more."""
    old = select(DECISIONS.c.id).where(DECISIONS.c.time < before).order_by(DECISIONS.c.time).limit(OLD_ROWS)
    ids = connection.scalars(old.with_for_update(skip_locked=True)).all()
    connection.execute(delete(DECISIONS).where(DECISIONS.c.id.in_(ids)))
    connection.execute(delete(REPORTS).where(REPORTS.c.decision_id.in_(ids)))
    # Reports whose decision never came are found by their own age, the oldest being first.
    first = connection.execute(
        select(REPORTS.c.position, REPORTS.c.received).order_by(REPORTS.c.position).limit(OLD_ROWS)
    ).all()
    positions = [position for position, received in first if received < before]
    connection.execute(delete(REPORTS).where(REPORTS.c.position.in_(positions)))
    return OLD_ROWS in (len(ids), len(positions))


def _reports(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, Arrived]]:
    """The reports of these decisions, in the order of arrival, by decision and key."""
    columns = select(REPORTS.c.decision_id, REPORTS.c.key, REPORTS.c.document.cast(Text), REPORTS.c.received)
    found: dict[str, dict[str, Arrived]] = {}
    for decision_id, key, document, received in connection.execute(
        columns.where(REPORTS.c.decision_id.in_(ids)).order_by(REPORTS.c.position)
    ):
        found.setdefault(decision_id, {})[key] = Arrived(report_from(document), received)
    return found


def _add_up(connection: Connection, known: dict[str, dict[str, Arrived]]) -> None:
    rows = [{"row": name, **reported_columns(add_up(known[name].values()))} for name in sorted(known)]
    change(connection, DECISIONS, rows)
