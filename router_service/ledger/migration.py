"""Brings a database's tables to what this release needs, with Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Engine, func, select

from router_service.ledger.database import MigrationImpossible

MIGRATIONS = Path(__file__).with_name("migrations")
# Whoever migrates a PostgreSQL database holds this advisory lock; the number means nothing.
MIGRATION_LOCK = 7_205_759_403


def migrate(engine: Engine) -> None:
    """Run the migrations that are missing; replicas that start at once do it one after the other."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.execution_options(writing=True, patient=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise MigrationImpossible(str(error)) from None
