"""The schema objects of an SQLite database, read from its catalog."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from machine_monitor.database.schema.definitions import (
    CONSTRAINT_WORDS,
    Objects,
    SchemaObject,
    constraint,
    definition,
    table_parts,
    tokens,
    without_literal_default,
)

# Tables that SQLite makes itself, for AUTOINCREMENT and ANALYZE.
INTERNAL_TABLES = frozenset({"sqlite_sequence", "sqlite_stat1", "sqlite_stat4"})


def read(cursor: Any) -> Objects:
    """Return the schema objects with their definitions."""
    # Indexes without SQL belong to the constraints of a table.
    cursor.execute("SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL OR type <> 'index'")
    return {found: text for row in cursor.fetchall() for found, text in _objects(*row)}


def of_statements(statements: Sequence[str]) -> Objects:
    """Return the schema objects that these DDL statements create."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in statements:
            connection.execute(statement)
        return read(connection.cursor())


def _objects(kind: str, name: str, table: str, sql: str | None) -> Iterator[tuple[SchemaObject, str]]:
    if kind == "table" and name in INTERNAL_TABLES:
        return
    words = tokens(sql or "")
    if kind != "table" or words[1:2] != ["table"]:
        yield SchemaObject(kind, name if kind in ("table", "view") else f"{name} on {table}"), definition(words)
        return
    parts, options = table_parts(sql or "")
    yield SchemaObject(kind, name), definition(options)
    for part in parts:
        if part[0] in CONSTRAINT_WORDS:
            yield constraint(name, part[2:] if part[0] == "constraint" else part), ""
        else:
            # ADD COLUMN can give a table a constraint only as part of the column.
            end = part.index("constraint") if "constraint" in part else len(part)
            yield SchemaObject("column", f"{name}.{part[0]}"), definition(without_literal_default(part[1:end]))
            if end < len(part):
                yield constraint(name, part[end + 2 :]), ""
