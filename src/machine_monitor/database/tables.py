"""Copy whole tables between databases of either engine: rows and sequences.

Rows are copied in portable form (SQLite's storage form: texts, integers, bytes and nulls), which is lossless: JSON
keeps its exact text, times keep their microseconds.
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
    """Yield all rows in the order of their primary key, with constant memory."""
    return tx.stream(_select_all(tx.engine, table))


def write(tx: Transaction, table: Table, rows: Iterable[Row]) -> None:
    """Insert rows in chunks."""
    tx.engine.bulk_insert(tx.cursor, table, rows)


def count(tx: Transaction, table: str) -> int:
    """Return the number of rows."""
    tx.cursor.execute(f"SELECT count(*) FROM {table}")
    return tx.cursor.fetchone()[0]


def clear(tx: Transaction, tables: Iterable[Table]) -> None:
    """Delete all rows, even those that triggers protect. List a table before the tables that it references."""
    for table in tables:
        with tx.engine.triggers_disabled(tx.cursor, table.name):
            tx.cursor.execute(f"DELETE FROM {table.name}")


def last_ids(tx: Transaction, tables: Iterable[Table]) -> dict[str, int]:
    """Return the last id used by each table with an autoincrement key; 0 if none."""
    ids = {}
    for table in tables:
        if table.autoincrement_column is not None:
            tx.cursor.execute(f"SELECT coalesce(max({table.autoincrement_column.name}), 0) FROM {table.name}")
            # Ids are not always drawn from the sequence: history entries number themselves.
            ids[table.name] = max(tx.cursor.fetchone()[0], tx.engine.last_id(tx.cursor, table))
    return ids


def set_last_ids(tx: Transaction, highest: Mapping[str, int], tables: Iterable[Table]) -> None:
    """Advance the sequences past these ids, so that no id is reused, not even that of a deleted row."""
    for table in tables:
        if last := highest.get(table.name):
            tx.engine.set_last_id(tx.cursor, table, last)


@cache
def _select_all(engine: Engine, table: Table) -> Statement:
    columns = [engine.to_portable_expr(column).label(column.name) for column in table.columns]
    return compile_statement(engine, select(*columns).order_by(*table.primary_key.columns))
