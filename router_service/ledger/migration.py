"""Brings a database's tables to what this release needs, with Alembic."""

from __future__ import annotations

import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import OperationalError

from router_service.errors import MigrationImpossible

MIGRATIONS = Path(__file__).with_name("migrations")
# Whoever migrates a PostgreSQL database holds this advisory lock; the number means nothing.
MIGRATION_LOCK = 7_205_759_403

# A table is changed alone. Whoever comes while that is waited for, behind a dump or a long query, waits as well: so it is
# waited for briefly, and again, for about a minute.
LOCK_WAIT, ATTEMPTS, PAUSE_SECONDS = "300ms", 40, 1.2
LOCK_NOT_AVAILABLE = "55P03"


def migrate(engine: Engine, attempts: int = ATTEMPTS) -> None:
    """Run the migrations that are missing; replicas that start at once do it one after the other.

    MigrationImpossible: the tables are at a migration of another release, or others have held them all the while.
    """
    for left in reversed(range(attempts)):
        try:
            with engine.execution_options(writing=True, patient=True).begin() as connection:
                _upgrade(connection)
            return
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            if not left:
                raise MigrationImpossible(
                    "its tables are to be changed, and others, such as a dump or a long query, have held them all the while; "
                    "start the router again when that is done"
                ) from None
        time.sleep(PAUSE_SECONDS)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise MigrationImpossible(
            f"{error} (Did a later release of the router migrate it? Then start that one.)"
        ) from None
