"""Rows: a record's values as the columns that keep them, with the folded texts beside them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from sqlalchemy import Table, bindparam, delete, select
from sqlalchemy import insert as sql_insert
from sqlalchemy import update as sql_update

from machine_monitor.database.connect import Transaction
from machine_monitor.database.engines import POSTGRESQL, Engine
from machine_monitor.database.kinds import TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.query.statements.documents import record_statement
from machine_monitor.query.vocabulary import Resource
from machine_monitor.query.words import document, fold


@dataclass(frozen=True)
class Stored:
    """A record as the database has it: its JSON, and what decides about it."""

    resource: Resource
    body: str
    id: int
    version: int
    deleted: bool

    @cached_property
    def values(self) -> dict[str, Any]:
        """The fields, as the API shows them."""
        return json.loads(self.body)


def find(tx: Transaction, resource: Resource, key: Any, find_by: str | None = None) -> Stored | None:
    """The record whose column `find_by` (its path key's, if not told) is `key`, locked until the end."""
    find_by = find_by or resource.find_by
    if tx.engine is POSTGRESQL:
        # A statement of its own: who waits for the lock must then see what the other wrote, related records included.
        tx.run(_lock(tx.engine, resource.table, find_by), {"key": key})
    return read(tx, resource, key, find_by)


def read(tx: Transaction, resource: Resource, key: Any, find_by: str) -> Stored | None:
    """The record whose column `find_by` is `key`, as this transaction sees it."""
    statement = record_statement(tx.engine, resource, find_by, (tuple(resource.own_fields), ()))
    rows = tx.run(statement, {"key": key})
    return Stored(resource, *rows[0]) if rows else None


def taken(tx: Transaction, resource: Resource, key: str) -> int | None:
    """The id of the record that has this key, or one that counts as the same."""
    rows = tx.run(_id_by(tx.engine, resource.table, resource.unique_by), {"key": resource.uniform(key)})
    return rows[0][0] if rows else None


def insert(tx: Transaction, resource: Resource, values: Mapping[str, Any], columns: Mapping[str, Any], at: str) -> int:
    """Add a row, with its folded texts; its id. `columns` holds what the related records' columns get."""
    row = {**_row(tx.engine, resource, values), **columns}
    written = tx.engine.store(at, TIME)
    row |= {"version": 1, "created_at": written, "updated_at": written}
    ((identity,),) = tx.run(_insert(tx.engine, resource.table, tuple(row), returning=True), row)
    if resource.folded is not None:
        folded = folded_row(resource, values) | {"id": identity}
        tx.run(_insert(tx.engine, resource.folded, tuple(folded)), folded)
    return identity


def update(tx: Transaction, stored: Stored, values: Mapping[str, Any], columns: Mapping[str, Any], at: str) -> None:
    """Change a row to these values, with its folded texts; `columns` as in `insert`."""
    resource = stored.resource
    row = {**_row(tx.engine, resource, values), **columns}
    row |= {"version": stored.version + 1, "updated_at": tx.engine.store(at, TIME), "row_id": stored.id}
    tx.run(_update(tx.engine, resource.table, tuple(row)), row)
    if resource.folded is not None:
        folded = folded_row(resource, values) | {"row_id": stored.id}
        tx.run(_update(tx.engine, resource.folded, tuple(folded)), folded)


def mark_deleted(tx: Transaction, stored: Stored, at: str) -> None:
    """Take a record out of every list; its row stays."""
    written = tx.engine.store(at, TIME)
    row = {"version": stored.version + 1, "updated_at": written, "deleted_at": written, "row_id": stored.id}
    tx.run(_update(tx.engine, stored.resource.table, tuple(row)), row)


def remove(tx: Transaction, stored: Stored) -> None:
    """Delete a row and its folded texts."""
    for table in (stored.resource.folded, stored.resource.table):
        if table is not None:
            tx.run(_delete(tx.engine, table), {"row_id": stored.id})


def folded_row(resource: Resource, values: Mapping[str, Any]) -> dict[str, str | None]:
    """The folded texts of a record, and its words."""
    assert resource.folded is not None
    texts = {name: value for name, value in values.items() if name in resource.folded.c}
    row = {name: None if value is None else fold(value) for name, value in texts.items()}
    row["words"] = document(values[name] for name in resource.searched)
    return row


def _row(engine: Engine, resource: Resource, values: Mapping[str, Any]) -> dict[str, Any]:
    row = {
        name: engine.store(values[name], known.kind)
        for name, known in resource.own_fields.items()
        if name in values and known.relation is None
    }
    row[resource.unique_by] = resource.uniform(values[resource.key])
    return row


@cache
def _lock(engine: Engine, table: Table, column: str) -> Statement:
    query = select(table.c.id).where(table.c[column] == bindparam("key", type_=table.c[column].type))
    return compile_statement(engine, query.with_for_update())


@cache
def _id_by(engine: Engine, table: Table, column: str) -> Statement:
    query = select(table.c.id).where(table.c[column] == bindparam("key", type_=table.c[column].type))
    return compile_statement(engine, query)


@cache
def _insert(engine: Engine, table: Table, columns: tuple[str, ...], *, returning: bool = False) -> Statement:
    command = sql_insert(table).values({name: bindparam(name, type_=table.c[name].type) for name in columns})
    return compile_statement(engine, command.returning(table.c.id) if returning else command)


@cache
def _update(engine: Engine, table: Table, columns: tuple[str, ...]) -> Statement:
    values = {name: bindparam(name, type_=table.c[name].type) for name in columns if name != "row_id"}
    return compile_statement(engine, sql_update(table).where(table.c.id == bindparam("row_id")).values(values))


@cache
def _delete(engine: Engine, table: Table) -> Statement:
    return compile_statement(engine, delete(table).where(table.c.id == bindparam("row_id")))
