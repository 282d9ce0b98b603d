"""Preserve AUTOINCREMENT sequences across SQLite migrations, so that ids of deleted rows are never reused."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, inspect

from machine_monitor.errors import SchemaMismatch

_SEQUENCES = "SELECT name, seq FROM sqlite_sequence"
_DEFINITIONS = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"


@contextmanager
def preserve_sequences(connection: Connection) -> Generator[None]:
    """Keep the last id of each table across migrations; raise `SchemaMismatch` if a table loses AUTOINCREMENT.

    To rebuild a table, Alembic fills a new one and drops the old one, and SQLite drops its entry in sqlite_sequence.
    The new entry is only the highest id that was copied, so that ids of deleted records would be reused.
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
            raise SchemaMismatch(f"The migration rebuilds the table {name} without AUTOINCREMENT: {advice}.")
        connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
        connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, last))


def _pairs(connection: Connection, query: str) -> dict[str, Any]:
    return {row[0]: row[1] for row in connection.exec_driver_sql(query)}
