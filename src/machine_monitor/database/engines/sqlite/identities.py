"""An id is never given out again, also where a migration makes a table of an SQLite database anew."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, inspect

from machine_monitor.errors import SchemaMismatch

_SEQUENCES = "SELECT name, seq FROM sqlite_sequence"
_DEFINITIONS = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"


@contextmanager
def preserved(connection: Connection) -> Generator[None]:
    """Let each table go on with the ids after its highest one so far, that of a deleted record included.

    SQLite forgets the highest id with the table, and counts on from the rows of the new one. Raises `SchemaMismatch` if
    the new table counts no ids at all.
    """
    if not inspect(connection).has_table("sqlite_sequence"):
        yield
        return
    before = _pairs(connection, _SEQUENCES)
    yield
    tables = _pairs(connection, _DEFINITIONS)
    after = _pairs(connection, _SEQUENCES)
    for name, last in before.items():
        if name not in tables or after.get(name, 0) >= last:
            continue
        if "AUTOINCREMENT" not in tables[name]:
            advice = 'pass table_kwargs={"sqlite_autoincrement": True} to batch_alter_table'
            raise SchemaMismatch(f"The migration makes the table {name} anew and loses AUTOINCREMENT: {advice}.")
        connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
        connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, last))


def _pairs(connection: Connection, query: str) -> dict[str, Any]:
    return {row[0]: row[1] for row in connection.exec_driver_sql(query)}
