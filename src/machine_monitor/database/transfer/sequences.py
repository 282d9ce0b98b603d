"""The ids that were given out: the highest of each table, so that none is given again, deleted rows' included."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Table

from machine_monitor.database.engines import SQLITE
from machine_monitor.database.transactions import Transaction


def given(tx: Transaction, tables: Iterable[Table]) -> dict[str, int]:
    """The highest id that each table gave out, 0 for none; tables whose keys are no such ids are left out."""
    read = _sqlite_given if tx.engine is SQLITE else _postgresql_given
    found = {}
    for table in tables:
        if table.autoincrement_column is not None:
            key = table.autoincrement_column.name
            tx.cursor.execute(f"SELECT coalesce(max({key}), 0) FROM {table.name}")
            # A row may have got its id from elsewhere, as entries of the history do.
            found[table.name] = max(tx.cursor.fetchone()[0], read(tx.cursor, table.name, key))
    return found


def give(tx: Transaction, highest: Mapping[str, int], tables: Iterable[Table]) -> None:
    """Let the tables go on after these ids."""
    for table in tables:
        if (last := highest.get(table.name)) and table.autoincrement_column is not None:
            if tx.engine is SQLITE:
                tx.cursor.execute("DELETE FROM sqlite_sequence WHERE name = ?", [table.name])
                tx.cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", [table.name, last])
            else:
                names = [table.name, table.autoincrement_column.name]
                tx.cursor.execute("SELECT setval(pg_get_serial_sequence(%s, %s), %s)", [*names, last])


def _sqlite_given(cursor: Any, table: str, _key: str) -> int:
    found = cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", [table]).fetchone()
    return found[0] if found else 0


def _postgresql_given(cursor: Any, table: str, key: str) -> int:
    cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [table, key])
    cursor.execute(f"SELECT last_value FROM {cursor.fetchone()[0]} WHERE is_called")
    found = cursor.fetchone()
    return found[0] if found else 0
