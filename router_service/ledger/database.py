"""Opens the ledger's database: what its address may be, how each kind is set up, and its migrations."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from router_service.errors import InvalidConfiguration, RouterError

MIGRATIONS = Path(__file__).with_name("migrations")
ACCEPTED = (
    "memory:, sqlite:///ledger.db, sqlite:////var/lib/router/ledger.db or postgresql://user:password@host:5432/database"
)
# Whoever migrates a PostgreSQL database holds this advisory lock; the number means nothing.
MIGRATION_LOCK = 7_205_759_403
BUSY_MILLISECONDS = 5_000
STATEMENT_SECONDS = 30
CONNECTIONS = 5
# Seconds to reach PostgreSQL, and milliseconds after which an unanswered packet ends a connection.
CONNECT = {"connect_timeout": "2", "tcp_user_timeout": "5000"}
_json = partial(json.dumps, separators=(",", ":"))


class LedgerUnavailable(RouterError):
    """The ledger's database cannot be asked now."""

    status = "UNAVAILABLE"
    reason = "LEDGER_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("The ledger's database cannot be asked now; decisions are still made. Try again later.")


def open_database(address: str) -> Engine:
    """The database at its latest migration; InvalidConfiguration says why it cannot be used, without the password."""
    url = _read(address)
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
    try:
        if engine.dialect.name == "sqlite":
            _create(Path(str(url.database)))
        migrate(engine)
    except (SQLAlchemyError, CommandError, OSError) as error:
        engine.dispose()
        where = url.set(username=None, password=None, query={}).render_as_string()
        why = sentence(error, url)
        if isinstance(error, CommandError):
            why += " (Did a later release of the router migrate it? Then start that one.)"
        raise InvalidConfiguration(f"ROUTER_LEDGER_URL: the database {where} cannot be used: {why}") from None
    return engine


def open_for_reading(address: str) -> Engine:
    """The database as it is; InvalidConfiguration when this release cannot read it so, or not at all."""
    url = _read(address)
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
    where = url.set(username=None, password=None, query={}).render_as_string()
    try:
        with engine.connect() as connection:
            found = set(MigrationContext.configure(connection).get_current_heads())
    except (SQLAlchemyError, OSError) as error:
        engine.dispose()
        raise InvalidConfiguration(
            f"ROUTER_LEDGER_URL: the database {where} cannot be read: {sentence(error, url)}"
        ) from None
    if found != set(ScriptDirectory.from_config(_scripts()).get_heads()):
        engine.dispose()
        raise InvalidConfiguration(
            f"ROUTER_LEDGER_URL: the database {where} has the tables of another release of the router, or none. Reading "
            "migrates nothing: start this release's router on it once."
        )
    return engine


def migrate(engine: Engine) -> None:
    """Bring the tables to what this release needs; replicas that start at once do it one after the other."""
    config = _scripts()
    with engine.execution_options(writing=True, patient=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def sentence(error: Exception, url: URL | None = None) -> str:
    """What went wrong, in one line without parameters (they are what was to be kept) and without the password."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    for secret in (url.password, url.query.get("password")) if url is not None else ():
        text = text.replace(str(secret), "***") if secret else text
    return text


def _scripts() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _read(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise InvalidConfiguration(f"ROUTER_LEDGER_URL is not a database's address; give {ACCEPTED}") from None
    if url.drivername in ("postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername in ("sqlite", "sqlite+pysqlite") and url.database not in (None, "", ":memory:"):
        return url
    raise InvalidConfiguration(f"ROUTER_LEDGER_URL: {url.drivername}: is not accepted so; give {ACCEPTED}")


def _create(path: Path) -> None:
    """Create the file, and the folder just above it, for nobody else to read: prompts may come to stand in it."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url, json_serializer=_json, hide_parameters=True, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=2
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # Transactions are begun below, at once for writing: a read that turns into a write could not wait its turn.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    arguments = {name: value for name, value in CONNECT.items() if name not in url.query}
    engine = create_engine(
        url,
        connect_args=arguments,
        json_serializer=_json,
        hide_parameters=True,
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=2,
        pool_pre_ping=True,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # For this transaction only, so that a pooler between here and the server passes it on to nobody else.
        seconds = 0 if connection.get_execution_options().get("patient") else STATEMENT_SECONDS
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{seconds}s'")

    return engine
