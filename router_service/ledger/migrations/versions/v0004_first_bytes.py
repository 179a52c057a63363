"""How long each reply's first byte took, so that a list of decisions tells it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column, 0 (not known) for the rows that are there; a replica of the release before may write on without it."""
    op.add_column("decisions", sa.Column("time_to_first_byte_seconds", sa.Double, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("decisions", "time_to_first_byte_seconds")
