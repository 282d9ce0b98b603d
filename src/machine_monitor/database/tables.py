"""Whole tables, from one database to another of any engine: their rows, and the ids that were given out.

Rows travel in the form in which SQLite stores them: texts, integers, bytes and nulls. That form loses nothing: JSON is
its very text, a time has its microseconds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Table, select

from machine_monitor.database.engines import Engine
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction

Row = Sequence[Any]


def read(tx: Transaction, table: Table) -> Iterator[Row]:
    """All rows in the order of their keys, with constant memory."""
    return tx.stream(_all(tx.engine, table))


def write(tx: Transaction, table: Table, rows: Iterable[Row]) -> None:
    """Add rows, some at a time."""
    tx.engine.bulk_insert(tx.cursor, table, rows)


def count(tx: Transaction, table: str) -> int:
    """How many rows there are."""
    tx.cursor.execute(f"SELECT count(*) FROM {table}")
    return tx.cursor.fetchone()[0]


def clear(tx: Transaction, tables: Iterable[Table]) -> None:
    """Remove all rows, also those that triggers protect. Name a table before the tables that it refers to."""
    for table in tables:
        with tx.engine.triggers_disabled(tx.cursor, table.name):
            tx.cursor.execute(f"DELETE FROM {table.name}")


def last_ids(tx: Transaction, tables: Iterable[Table]) -> dict[str, int]:
    """The highest id that each table gave out, 0 for none; tables whose keys are no such ids are left out."""
    found = {}
    for table in tables:
        if table.autoincrement_column is not None:
            tx.cursor.execute(f"SELECT coalesce(max({table.autoincrement_column.name}), 0) FROM {table.name}")
            # A row may have got its id from elsewhere, as entries of the history do.
            found[table.name] = max(tx.cursor.fetchone()[0], tx.engine.last_id(tx.cursor, table))
    return found


def set_last_ids(tx: Transaction, highest: Mapping[str, int], tables: Iterable[Table]) -> None:
    """Let the tables go on after these ids, so that no id is given out again, a deleted row's included."""
    for table in tables:
        if last := highest.get(table.name):
            tx.engine.set_last_id(tx.cursor, table, last)


@cache
def _all(engine: Engine, table: Table) -> Statement:
    columns = [engine.to_portable_expr(column).label(column.name) for column in table.columns]
    return compile_statement(engine, select(*columns).order_by(*table.primary_key.columns))
