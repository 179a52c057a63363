"""The first tables: decisions, and what was reported of them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create both tables."""
    texts = ("tenant", "profile", "purpose", "conversation_id", "model", "source", "reason", "baseline_model")
    op.create_table(
        "decisions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("time", sa.Double, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        sa.Column("expected_cost_usd", sa.Double),
        sa.Column("baseline_cost_usd", sa.Double),
        sa.Column("served_model", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_input_tokens", sa.BigInteger, nullable=False),
        sa.Column("cost_usd", sa.Double),
        sa.Column("baseline_actual_cost_usd", sa.Double),
        sa.Column("trace", sa.JSON, nullable=False),
    )
    op.create_index("decisions_by_time", "decisions", ["time", "id"])
    op.create_index("decisions_by_tenant", "decisions", ["tenant", "time", "id"])
    op.create_index("decisions_by_conversation", "decisions", ["conversation_id", "time", "id"])
    op.create_table(
        "reports",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("decision_id", sa.Text, nullable=False),
        sa.Column("received", sa.Double, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_index("reports_by_decision", "reports", ["decision_id"])


def downgrade() -> None:
    """Drop both tables, and what is in them."""
    op.drop_table("reports")
    op.drop_table("decisions")
