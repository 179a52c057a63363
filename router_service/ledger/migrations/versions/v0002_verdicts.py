"""What verdicts and savings need in columns of their own, filled in for the rows that are there."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BATCH = 1_000
DECISIONS = sa.table(
    "decisions",
    *(sa.column(name) for name in ("id", "edit_format", "previous_outcome", "reported_at")),
    sa.column("trace", sa.JSON),
)
REPORTS = sa.table("reports", *(sa.column(name) for name in ("decision_id", "received")))


def upgrade() -> None:
    """Add the columns; a replica of the release before may go on writing without them."""
    for name in ("strongest_actual_cost_usd", "cheapest_actual_cost_usd", "reported_at"):
        op.add_column("decisions", sa.Column(name, sa.Double))
    op.add_column("decisions", sa.Column("edit_format", sa.Text, nullable=False, server_default=""))
    op.add_column("decisions", sa.Column("previous_outcome", sa.Text, nullable=False, server_default="unknown"))
    op.add_column("decisions", sa.Column("tokens_estimated", sa.Boolean, nullable=False, server_default=sa.false()))
    connection = op.get_bind()
    change = sa.update(DECISIONS).where(DECISIONS.c.id == sa.bindparam("decision"))
    for rows in _batches(connection):
        connection.execute(change, rows)
    latest = sa.select(sa.func.max(REPORTS.c.received)).where(REPORTS.c.decision_id == DECISIONS.c.id)
    reported = DECISIONS.c.id.in_(sa.select(REPORTS.c.decision_id))
    connection.execute(sa.update(DECISIONS).where(reported).values(reported_at=latest.scalar_subquery()))
    op.create_index("decisions_by_report", "decisions", ["reported_at", "id"])


def downgrade() -> None:
    """Drop the columns."""
    op.drop_index("decisions_by_report", "decisions")
    for name in ("strongest_actual_cost_usd", "cheapest_actual_cost_usd", "reported_at", "edit_format"):
        op.drop_column("decisions", name)
    for name in ("previous_outcome", "tokens_estimated"):
        op.drop_column("decisions", name)


def _batches(connection: sa.Connection) -> Iterator[list[dict[str, Any]]]:
    """The new columns of every decision, from its trace; read here, for PostgreSQL reads no JSON with a zero byte in it."""
    last = ""
    while True:
        wanted = sa.select(DECISIONS.c.id, DECISIONS.c.trace).where(DECISIONS.c.id > last)
        rows = connection.execute(wanted.order_by(DECISIONS.c.id).limit(BATCH)).all()
        if not rows:
            return
        last = rows[-1].id
        yield [{"decision": row.id, **_columns(row.trace)} for row in rows]


def _columns(trace: dict[str, Any]) -> dict[str, str]:
    request = trace.get("request", {})
    # As every text in a column: PostgreSQL takes no zero byte.
    edit_format = request.get("edit_format", "").replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return {
        "edit_format": edit_format,
        "previous_outcome": request.get("previous_reply", {}).get("outcome", "unknown"),
    }
