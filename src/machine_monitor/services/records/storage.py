"""Rows: a record's values as the columns that keep them, with the folded texts beside them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

from sqlalchemy import Table, Text, bindparam, delete, select
from sqlalchemy import insert as sql_insert
from sqlalchemy import update as sql_update

from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.database.kinds import OBJECT, TIME, Kind
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.query.language import attributes
from machine_monitor.query.language.search_terms import fold
from machine_monitor.query.schema import ChildRows, Resource, Selection, field_annotations
from machine_monitor.query.sql.documents import record_statement, records_after_id_statement, records_by_key_statement
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.projections import counters, search_index
from machine_monitor.services.projections.search_index import Change


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

    @property
    def shown(self) -> dict[str, Any]:
        """The fields that can be written."""
        return {name: self.values[name] for name in self.resource.create.model_fields}


def find(tx: Transaction, resource: Resource, key: Any, find_by: str | None = None) -> Stored | None:
    """The record whose column `find_by` (its path key's, if not told) is `key`, locked until the end."""
    find_by = find_by or resource.find_by
    if not tx.engine.single_writer:
        # A statement of its own: the next one sees all that the former holder of the lock wrote, related records too.
        tx.run(_lock(tx.engine, resource.table, find_by), {"key": key})
    return read(tx, resource, key, find_by)


def read(tx: Transaction, resource: Resource, key: Any, find_by: str) -> Stored | None:
    """The record whose column `find_by` is `key`, as this transaction sees it."""
    statement = record_statement(tx.engine, resource, find_by, Selection(tuple(resource.own_fields)))
    rows = tx.run(statement, {"key": key})
    return Stored(resource, *rows[0]) if rows else None


def find_several(tx: Transaction, resource: Resource, keys: Iterable[str]) -> dict[str, Stored]:
    """The records that have these keys, by what makes them unique; locked until the end."""
    wanted = {"keys": canonical_json([resource.unique_key_of(key) for key in keys])}
    if not tx.engine.single_writer:
        tx.run(_lock_several(tx.engine, resource), wanted)
    rows = tx.run(records_by_key_statement(tx.engine, resource), wanted)
    return {str(key): Stored(resource, *rest) for *rest, key in rows}


def taken(tx: Transaction, resource: Resource, key: str) -> int | None:
    """The id of the record that has this key, or one that counts as the same."""
    rows = tx.run(_id_by(tx.engine, resource.table, resource.unique_by), {"key": resource.unique_key_of(key)})
    return rows[0][0] if rows else None


def chunks(tx: Transaction, resource: Resource, size: int = 1_000) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """All records, deleted ones too, as (id, values), so many at a time."""
    after = 0
    while rows := tx.run(records_after_id_statement(tx.engine, resource), {"after": after, "limit": size}):
        yield [(identity, json.loads(body)) for body, identity, _ in rows]
        after = rows[-1][1]


class New(NamedTuple):
    """A record to be written: its values as the API shows them, and what the related records' columns get."""

    values: Mapping[str, Any]
    columns: Mapping[str, Any]


def insert(tx: Transaction, resource: Resource, many: Sequence[New], at: str) -> list[int]:
    """Add rows, with their folded texts and words; their ids."""
    written = tx.engine.store(at, TIME)
    fixed = {"version": 1, "created_at": written, "updated_at": written}
    ids = tx.next_ids(resource.table.name, len(many))
    rows = [
        {"id": identity, **fixed, **_row(tx.engine, resource, new.values), **new.columns}
        for identity, new in zip(ids, many, strict=True)
    ]
    tx.run_many(_insert(tx.engine, resource.table, tuple(rows[0])), rows)
    if resource.folded is not None:
        folded = [{"id": identity, **folded_row(resource, new.values)} for identity, new in zip(ids, many, strict=True)]
        tx.run_many(_insert(tx.engine, resource.folded, tuple(folded[0])), folded)
    for name in resource.child_lists:
        _insert_list(
            tx, resource.child_lists[name], {key: new.values[name] for key, new in zip(ids, many, strict=True)}
        )
    for identity, new in zip(ids, many, strict=True):
        search_index.follow(tx, Change(resource, identity, None, new.values))
        counters.change(tx, resource, None, {**new.values, **new.columns})
    return ids


def update(tx: Transaction, stored: Stored, values: Mapping[str, Any], columns: Mapping[str, Any], at: str) -> None:
    """Change a row to these values, with its folded texts and words; `columns` as in `insert`."""
    resource = stored.resource
    row = {**_row(tx.engine, resource, values), **columns}
    row |= {"version": stored.version + 1, "updated_at": tx.engine.store(at, TIME), "row_id": stored.id}
    tx.run(_update(tx.engine, resource.table, tuple(row)), row)
    if resource.folded is not None:
        folded = folded_row(resource, values) | {"row_id": stored.id}
        tx.run(_update(tx.engine, resource.folded, tuple(folded)), folded)
    for name, rows in resource.child_lists.items():
        if values[name] != stored.values[name]:
            tx.run(_delete_list(tx.engine, rows), {"parent": stored.id})
            _insert_list(tx, rows, {stored.id: values[name]})
    search_index.follow(tx, Change(resource, stored.id, stored.values, values))
    counters.change(tx, resource, stored.values, {**values, **columns})


def mark_deleted(tx: Transaction, stored: Stored, at: str) -> None:
    """Take a record out of every list; its row stays, and so do its words."""
    _mark(tx, stored, at, deleted_at=tx.engine.store(at, TIME))
    counters.change(tx, stored.resource, stored.values, None)


def restore(tx: Transaction, stored: Stored, at: str) -> None:
    """Bring a deleted record back into the lists."""
    _mark(tx, stored, at, deleted_at=None)
    counters.change(tx, stored.resource, None, stored.values)


def _mark(tx: Transaction, stored: Stored, at: str, deleted_at: Any) -> None:
    row = {"version": stored.version + 1, "updated_at": tx.engine.store(at, TIME), "row_id": stored.id}
    row["deleted_at"] = deleted_at
    tx.run(_update(tx.engine, stored.resource.table, tuple(row)), row)


def remove(tx: Transaction, stored: Stored) -> None:
    """Delete a row, its folded texts and its words."""
    resource = stored.resource
    search_index.follow(tx, Change(resource, stored.id, stored.values, None))
    tx.flush_deferred(search_index.write_all)  # while the row is there that PostgreSQL's index refers to
    for rows in resource.child_lists.values():
        tx.run(_delete_list(tx.engine, rows), {"parent": stored.id})
    for table in (resource.folded, resource.table):
        if table is not None:
            tx.run(_delete(tx.engine, table), {"row_id": stored.id})


def relieve(tx: Transaction) -> None:
    """In a transaction of very many records, let go of what is kept of those that are written."""
    tx.flush_deferred(search_index.write_all)
    counters.merge_pending(tx)
    if tx.engine.single_writer:
        # Other writers wait for this transaction anyway.
        tx.flush_deferred(hash_chain.write)


def fold_again(tx: Transaction, resource: Resource, chunk: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
    """Write the folded texts of these records anew."""
    if resource.folded is not None:
        rows = [{"row_id": identity, **folded_row(resource, values)} for identity, values in chunk]
        tx.run_many(_update(tx.engine, resource.folded, tuple(rows[0])), rows)


def _insert_list(tx: Transaction, rows: ChildRows, lists: Mapping[int, Sequence[Mapping[str, Any]]]) -> None:
    """Write the lists of these records, by their ids: each row with its place and its folded texts."""
    kinds = _item_kinds(rows)
    written = [
        {rows.on: identity, rows.position: position}
        | {field: tx.engine.store(item[field], kind) for field, kind in kinds.items()}
        | {f"{field}_folded": _folded(item[field], kinds[field]) for field in _folded_items(rows)}
        for identity, items in lists.items()
        for position, item in enumerate(items)
    ]
    if written:
        tx.run_many(_insert(tx.engine, rows.table, tuple(written[0])), written)


@cache
def _item_kinds(rows: ChildRows) -> dict[str, Kind]:
    return {name: field_annotations(info).kind for name, info in rows.item.model_fields.items()}


@cache
def _folded_items(rows: ChildRows) -> tuple[str, ...]:
    return tuple(name for name in rows.item.model_fields if f"{name}_folded" in rows.table.c)


def folded_row(resource: Resource, values: Mapping[str, Any]) -> dict[str, str | None]:
    """The folded texts of a record, and what its attributes are compared by."""
    assert resource.folded is not None
    names = [column.name for column in resource.folded.c if column.name != "id"]
    return {name: _folded(values[name], resource.own_fields[name].kind) for name in names}


def _folded(value: Any, kind: Kind) -> str | None:
    if value is None:
        return None
    return attributes.encode_representations(value) if kind is OBJECT else fold(value)


def _row(engine: Engine, resource: Resource, values: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: values[name] for name in _columns(resource) if name in values}
    for name in _converted(engine, resource):
        if name in row:
            row[name] = engine.store(row[name], resource.own_fields[name].kind)
    row[resource.unique_by] = resource.unique_key_of(values[resource.key])
    for name, counted in resource.child_counts.items():
        row[name] = len(values[counted])
    return row


@cache
def _columns(resource: Resource) -> tuple[str, ...]:
    return tuple(name for name, known in resource.own_fields.items() if not known.joins and known.column is not None)


@cache
def _converted(engine: Engine, resource: Resource) -> tuple[str, ...]:
    """The columns that an engine keeps otherwise than the API shows them."""
    return tuple(name for name in _columns(resource) if resource.own_fields[name].kind.name in engine.stores)


@cache
def _lock(engine: Engine, table: Table, column: str) -> Statement:
    query = select(table.c.id).where(table.c[column] == bindparam("key", type_=table.c[column].type))
    return compile_statement(engine, query.with_for_update())


@cache
def _lock_several(engine: Engine, resource: Resource) -> Statement:
    table, key = resource.table, resource.table.c[resource.unique_by]
    among = key.in_(engine.values_of(bindparam("keys", type_=Text()), key.type))
    # In the order of their ids: two that lock the same records never wait for each other.
    return compile_statement(engine, select(table.c.id).where(among).order_by(table.c.id).with_for_update())


@cache
def _id_by(engine: Engine, table: Table, column: str) -> Statement:
    query = select(table.c.id).where(table.c[column] == bindparam("key", type_=table.c[column].type))
    return compile_statement(engine, query)


@cache
def _insert(engine: Engine, table: Table, columns: tuple[str, ...]) -> Statement:
    values = {name: bindparam(name, type_=table.c[name].type) for name in columns}
    return compile_statement(engine, sql_insert(table).values(values))


@cache
def _update(engine: Engine, table: Table, columns: tuple[str, ...]) -> Statement:
    values = {name: bindparam(name, type_=table.c[name].type) for name in columns if name != "row_id"}
    return compile_statement(engine, sql_update(table).where(table.c.id == bindparam("row_id")).values(values))


@cache
def _delete_list(engine: Engine, rows: ChildRows) -> Statement:
    parent = rows.table.c[rows.on]
    return compile_statement(engine, delete(rows.table).where(parent == bindparam("parent", type_=parent.type)))


@cache
def _delete(engine: Engine, table: Table) -> Statement:
    return compile_statement(engine, delete(table).where(table.c.id == bindparam("row_id")))
