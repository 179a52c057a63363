"""Statements for many rows: compiled once a dialect, and run with rows that the driver takes as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Table, Update, bindparam, update
from sqlalchemy.dialects import postgresql, sqlite

Row = dict[str, Any]


def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows, each with the same columns; one whose key is there already is left as it is."""
    if rows:
        _run(connection, _insert(table, connection.dialect.name), rows)


def change(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Set the columns of the rows whose ids are given."""
    if rows:
        _run(connection, _update(table), rows)


def _run(connection: Connection, statement: Insert | Update, rows: Sequence[Row]) -> None:
    # What SQLAlchemy does for each value of each row took longer than the database.
    text, order = _compiled(statement, connection.dialect, tuple(rows[0]))
    connection.exec_driver_sql(text, [order(row) for row in rows] if order else list(rows))


@cache
def _insert(table: Table, dialect: str) -> Insert:
    build = postgresql.insert if dialect == "postgresql" else sqlite.insert
    # Inline: nobody reads the keys that the database gives, so they are not asked for.
    return build(table).on_conflict_do_nothing().inline()


@cache
def _update(table: Table) -> Update:
    # A column's own name is taken by what it is set to.
    return update(table).where(table.c.id == bindparam("row"))


@lru_cache(16)
def _compiled(
    statement: Insert | Update, dialect: Dialect, names: tuple[str, ...]
) -> tuple[str, Callable[[Row], Any] | None]:
    """The text, and how a row is put into the order that it asks for; None where it asks by name."""
    columns = [name for name in names if name != "row"]
    compiled = statement.compile(dialect=dialect, column_keys=columns)
    return str(compiled), itemgetter(*compiled.positiontup) if compiled.positiontup else None
