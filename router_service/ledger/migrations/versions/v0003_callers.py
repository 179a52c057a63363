"""Who asked, and an index that holds all that spending reads."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column, empty for the rows that are there; a replica of the release before may go on writing without it."""
    op.add_column("decisions", sa.Column("caller", sa.Text, nullable=False, server_default=""))
    op.create_index("decisions_by_spending", "decisions", ["time", "caller", "cost_usd"])


def downgrade() -> None:
    """Drop both."""
    op.drop_index("decisions_by_spending", "decisions")
    op.drop_column("decisions", "caller")
