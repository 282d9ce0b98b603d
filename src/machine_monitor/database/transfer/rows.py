"""Rows as SQLite keeps them, whichever engine they are read from or written to: texts, integers, bytes and nulls.

That form loses nothing: JSON is its very text, a time has its microseconds.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Integer,
    Table,
    TypeDecorator,
    Uuid,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.types import JSON, TypeEngine

from machine_monitor.database import instants
from machine_monitor.database.engines import POSTGRESQL, SQLITE, Engine, as_text
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction

Row = Sequence[Any]
# How PostgreSQL's own types become that form; the other types have it.
PLAIN: tuple[tuple[type[TypeEngine], Callable[[ColumnElement], ColumnElement]], ...] = (
    (DateTime, lambda column: func.rtrim(instants.postgresql_text(column), literal_column("'Z'"))),
    (JSON, as_text),
    (Uuid, as_text),
    (Boolean, lambda column: cast(column, Integer)),
)


def read(tx: Transaction, table: Table) -> Iterator[Row]:
    """All rows in the order of their keys, with constant memory."""
    return tx.stream(_all(tx.engine, table))


def write(tx: Transaction, table: Table, rows: Iterable[Row]) -> None:
    """Add rows, some at a time."""
    names = ", ".join(_quoted(tx.engine, column) for column in table.columns)
    if tx.engine is SQLITE:
        marks = ", ".join("?" for _ in table.columns)
        tx.cursor.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)
        return
    with tx.cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def count(tx: Transaction, table: str) -> int:
    """How many rows there are."""
    tx.cursor.execute(f"SELECT count(*) FROM {table}")
    return tx.cursor.fetchone()[0]


def clear(tx: Transaction, tables: Iterable[Table]) -> None:
    """Remove all rows, also those that triggers protect; who refers comes before what is referred to."""
    for table in tables:
        with _unprotected(tx, table):
            tx.cursor.execute(f"DELETE FROM {table.name}")


@contextmanager
def _unprotected(tx: Transaction, table: Table) -> Generator[None]:
    if tx.engine is POSTGRESQL:
        tx.cursor.execute(f"ALTER TABLE {table.name} DISABLE TRIGGER USER")
        yield
        tx.cursor.execute(f"ALTER TABLE {table.name} ENABLE TRIGGER USER")
        return
    tx.cursor.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?", [table.name])
    triggers = tx.cursor.fetchall()
    for name, _ in triggers:
        tx.cursor.execute(f"DROP TRIGGER {name}")
    yield
    for _, definition in triggers:
        tx.cursor.execute(definition)


@cache
def _all(engine: Engine, table: Table) -> Statement:
    columns = [_plain(engine, column).label(column.name) for column in table.columns]
    return compile_statement(engine, select(*columns).order_by(*table.primary_key.columns))


def _plain(engine: Engine, column: Column) -> ColumnElement:
    if engine is SQLITE:
        return column
    kept = column.type.dialect_impl(engine.dialect)
    kept = kept.impl if isinstance(kept, TypeDecorator) else kept
    return next((make(column) for kind, make in PLAIN if isinstance(kept, kind)), column)


def _quoted(engine: Engine, column: Column) -> str:
    return engine.dialect.identifier_preparer.format_column(column)
