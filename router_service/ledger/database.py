"""Opens the ledger's database: what its address may be, how each kind is set up, and its migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from router_service.errors import InvalidConfiguration, MigrationImpossible

# The migration that this release's tables are at, the last of `migrations`.
LATEST = "0004"
ACCEPTED = (
    "memory:, sqlite:///ledger.db, sqlite:////var/lib/router/ledger.db or postgresql://user:password@host:5432/database"
)
BUSY_MILLISECONDS = 5_000
STATEMENT_SECONDS = 30
# Pages (of 4 KiB) of SQLite's log before they are copied into the database: four times the usual, for most are written again
# before that, and copying them each time was a tenth to a third of the writer's time.
CHECKPOINT_PAGES = 4_000
CONNECTIONS = 5
# Seconds to reach PostgreSQL, and milliseconds after which an unanswered packet ends a connection.
CONNECT = {"connect_timeout": "2", "tcp_user_timeout": "5000"}


def open_database(address: str) -> Engine:
    """The database at its latest migration; InvalidConfiguration says why it cannot be used, without the password."""
    url = _read(address)
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
    try:
        if engine.dialect.name == "sqlite":
            _create(Path(str(url.database)))
        _migrate(engine)
    except (SQLAlchemyError, MigrationImpossible, OSError) as error:
        engine.dispose()
        where = url.set(username=None, password=None, query={}).render_as_string()
        why = sentence(error, url)
        raise InvalidConfiguration(f"ROUTER_LEDGER_URL: the database {where} cannot be used: {why}") from None
    return engine


def open_for_reading(address: str) -> Engine:
    """The database as it is; InvalidConfiguration when this release cannot read it so, or not at all."""
    url = _read(address)
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
    where = url.set(username=None, password=None, query={}).render_as_string()
    try:
        found = _found(engine)
    except (SQLAlchemyError, OSError) as error:
        engine.dispose()
        raise InvalidConfiguration(
            f"ROUTER_LEDGER_URL: the database {where} cannot be read: {sentence(error, url)}"
        ) from None
    if found != {LATEST}:
        engine.dispose()
        raise InvalidConfiguration(
            f"ROUTER_LEDGER_URL: the database {where} has the tables of another release of the router, or none. Reading "
            "migrates nothing: start this release's router on it once."
        )
    return engine


def sentence(error: Exception, url: URL | None = None) -> str:
    """What went wrong, in one line without parameters (they are what was to be kept) and without the password."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    for secret in (url.password, url.query.get("password")) if url is not None else ():
        text = text.replace(str(secret), "***") if secret else text
    return text


def _found(engine: Engine) -> set[str]:
    """The migrations that the database's tables are at; none where it has no tables of ours."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return set()
        return {row[0] for row in connection.execute(text("SELECT version_num FROM alembic_version"))}


def _migrate(engine: Engine) -> None:
    if _found(engine) == {LATEST}:
        return
    # Alembic takes 10 MB and a quarter of a second, so only a router that has something to migrate pays for it.
    from router_service.ledger.migration import migrate  # noqa: PLC0415

    migrate(engine)


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
    # The latest used first: each keeps pages in memory, and those that wait for a crowd need none.
    engine = create_engine(
        url, hide_parameters=True, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=2, pool_use_lifo=True
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # Transactions are begun below, at once for writing: a read that turns into a write could not wait its turn.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")

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
