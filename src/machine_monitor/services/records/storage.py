"""Read and write the rows of records: table, folded texts, child rows, search index and counters."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from machine_monitor.query.language.folding import fold
from machine_monitor.query.schema import ChildRows, Resource, Selection, field_annotations
from machine_monitor.query.sql.documents import record_statement, records_after_id_statement, records_by_key_statement
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.projections import counters, search_index
from machine_monitor.services.projections.reliability import invalidation
from machine_monitor.services.projections.search_index import IndexUpdate


@dataclass(frozen=True)
class StoredRecord:
    """A record read from the database: its JSON, id, version and whether it is deleted."""

    resource: Resource
    body: str
    id: int
    version: int
    is_deleted: bool

    @cached_property
    def values(self) -> dict[str, Any]:
        """The fields in their API form."""
        return json.loads(self.body)

    @property
    def warning(self) -> str | None:
        """What is probably wrong with the record, as a sentence."""
        return None if self.resource.warning is None else self.resource.warning(self.values)

    @property
    def writable_values(self) -> dict[str, Any]:
        """The values of the fields that clients can write."""
        return {name: self.values[name] for name in self.resource.create.model_fields}

    @property
    def recorded_values(self) -> dict[str, Any]:
        """The values that the history has: the writable ones and the managed lists."""
        return {name: self.values[name] for name in self.resource.recorded}


def find(
    tx: Transaction, resource: Resource, key: Any, lookup_column: str | None = None, *, lock: bool = True
) -> StoredRecord | None:
    """Return the record whose `lookup_column` (default: the resource's) equals `key`.

    The row is locked until the transaction ends, unless `lock` is false.
    """
    lookup_column = lookup_column or resource.lookup_column
    if lock and not tx.engine.single_writer:
        # Lock in a separate statement: under READ COMMITTED the next statement then sees everything that the
        # previous lock holder committed, including related records.
        tx.execute_later(_lock_statement(tx.engine, resource.table, lookup_column), {"key": key})
    return read(tx, resource, key, lookup_column)


def read(tx: Transaction, resource: Resource, key: Any, lookup_column: str) -> StoredRecord | None:
    """Return the record whose `lookup_column` equals `key`, as this transaction sees it. It is not locked."""
    return read_later(tx, resource, key, lookup_column)()


def read_later(tx: Transaction, resource: Resource, key: Any, lookup_column: str) -> Callable[[], StoredRecord | None]:
    """Enqueue the statement of `read` as `Transaction.execute_later` does; the function that it returns has its result.

    Call that function at most once.
    """
    statement = record_statement(tx.engine, resource, lookup_column, Selection(tuple(resource.own_fields)))
    rows = tx.execute_later(statement, {"key": key})

    def read_first() -> StoredRecord | None:
        return next((StoredRecord(resource, *row) for row in rows()), None)

    return read_first


def find_several(
    tx: Transaction, resource: Resource, keys: Iterable[str], *, lock: bool = True
) -> dict[str, StoredRecord]:
    """Return the records that have these keys, by unique key.

    Their rows are locked until the transaction ends, unless `lock` is false.
    """
    binds = {"keys": canonical_json([resource.unique_key_of(key) for key in keys])}
    if lock and not tx.engine.single_writer:
        tx.execute_later(_lock_several_statement(tx.engine, resource), binds)
    rows = tx.execute(records_by_key_statement(tx.engine, resource), binds)
    return {str(key): StoredRecord(resource, *rest) for *rest, key in rows}


def find_id_by_key(tx: Transaction, resource: Resource, key: str) -> int | None:
    """Return the id of the record with an equivalent key; None if the key is free."""
    rows = tx.execute(
        _find_id_statement(tx.engine, resource.table, resource.unique_column), {"key": resource.unique_key_of(key)}
    )
    return rows[0][0] if rows else None


def chunks(tx: Transaction, resource: Resource, size: int = 1_000) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """Yield all records, including deleted ones, as (id, values) in chunks of `size`."""
    after = 0
    while rows := tx.execute(records_after_id_statement(tx.engine, resource), {"after": after, "limit": size}):
        yield [(identity, json.loads(body)) for body, identity, _ in rows]
        after = rows[-1][1]


class NewRecord(NamedTuple):
    """A record to insert: its API values, and the values of its foreign key columns."""

    values: Mapping[str, Any]
    columns: Mapping[str, Any]

    def with_managed_lists(self, resource: Resource) -> "NewRecord":
        """Return the record with its managed lists, which are empty unless they are given."""
        return self._replace(values=with_managed_lists(resource, {}, self.values))


def insert(tx: Transaction, resource: Resource, new_records: Sequence[NewRecord], at: str, ids: Sequence[int]) -> None:
    """Insert records at these ids, with their folded texts, child rows, search words and counters."""
    _clear_lookups(tx, resource)
    written = tx.engine.to_db(at, TIME)
    initial = {"version": 1, "created_at": written, "updated_at": written}
    rows = [
        {"id": identity, **initial, **_row(tx.engine, resource, new.values), **new.columns}
        for identity, new in zip(ids, new_records, strict=True)
    ]
    tx.execute_many(_insert_statement(tx.engine, resource.table, tuple(rows[0])), rows)
    if resource.folded is not None:
        folded = [
            {"id": identity, **folded_row(resource, new.values)} for identity, new in zip(ids, new_records, strict=True)
        ]
        tx.execute_many(_insert_statement(tx.engine, resource.folded, tuple(folded[0])), folded)
    for name in resource.child_lists:
        _insert_child_rows(
            tx, resource.child_lists[name], {key: new.values[name] for key, new in zip(ids, new_records, strict=True)}
        )
    for identity, new in zip(ids, new_records, strict=True):
        search_index.enqueue_update(tx, IndexUpdate(resource, identity, None, new.values))
        _update_projections(tx, resource, identity, None, {**new.values, **new.columns})


def update(
    tx: Transaction, stored: StoredRecord, values: Mapping[str, Any], columns: Mapping[str, Any], at: str
) -> None:
    """Set the values of a record, and update its folded texts, child rows, search words and counters.

    `columns` has the values of the foreign key columns that change.
    """
    resource = stored.resource
    _clear_lookups(tx, resource)
    values = with_managed_lists(resource, stored.values, values)
    row = {**_row(tx.engine, resource, values), **columns}
    row |= {"version": stored.version + 1, "updated_at": tx.engine.to_db(at, TIME), "row_id": stored.id}
    tx.execute_later(_update_statement(tx.engine, resource.table, tuple(row)), row)
    if resource.folded is not None:
        folded = folded_row(resource, values) | {"row_id": stored.id}
        tx.execute_later(_update_statement(tx.engine, resource.folded, tuple(folded)), folded)
    for name, rows in resource.child_lists.items():
        if values[name] != stored.values[name]:
            tx.execute_later(_delete_child_rows_statement(tx.engine, rows), {"parent": stored.id})
            _insert_child_rows(tx, rows, {stored.id: values[name]})
    search_index.enqueue_update(tx, IndexUpdate(resource, stored.id, stored.values, values))
    _update_projections(tx, resource, stored.id, stored.values, {**values, **columns})


def mark_deleted(tx: Transaction, stored: StoredRecord, at: str) -> None:
    """Soft-delete a record: it disappears from lists, its row and search words remain."""
    _set_deleted_at(tx, stored, at, deleted_at=tx.engine.to_db(at, TIME))
    _update_projections(tx, stored.resource, stored.id, stored.values, None)


def restore(tx: Transaction, stored: StoredRecord, at: str) -> None:
    """Undo a soft delete: the record appears in lists again."""
    _set_deleted_at(tx, stored, at, deleted_at=None)
    _update_projections(tx, stored.resource, stored.id, None, stored.values)


def _update_projections(
    tx: Transaction,
    resource: Resource,
    record_id: int,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """Update the counters, and delete the sums that the change makes wrong.

    `before` is None for a record that did not exist or was deleted, `after` for one that is deleted now.
    """
    counters.enqueue_update(tx, resource, before, after)
    invalidation.enqueue_change(tx, resource, record_id, before, after)


def _clear_lookups(tx: Transaction, resource: Resource) -> None:
    """Clear the lookups of the transaction if other records may refer to the record that changes."""
    if resource.referrers:
        tx.lookups.clear()


def _set_deleted_at(tx: Transaction, stored: StoredRecord, at: str, deleted_at: Any) -> None:
    _clear_lookups(tx, stored.resource)
    row = {"version": stored.version + 1, "updated_at": tx.engine.to_db(at, TIME), "row_id": stored.id}
    row["deleted_at"] = deleted_at
    tx.execute_later(_update_statement(tx.engine, stored.resource.table, tuple(row)), row)


def delete_row(tx: Transaction, stored: StoredRecord) -> None:
    """Delete a record permanently: row, folded texts, child rows and search words."""
    resource = stored.resource
    _clear_lookups(tx, resource)
    search_index.enqueue_update(tx, IndexUpdate(resource, stored.id, stored.values, None))
    # Before the row: on PostgreSQL the search table has a foreign key to it.
    tx.flush_deferred(search_index.write_all)
    for rows in resource.child_lists.values():
        tx.execute_later(_delete_child_rows_statement(tx.engine, rows), {"parent": stored.id})
    for table in (resource.folded, resource.table):
        if table is not None:
            tx.execute_later(_delete_statement(tx.engine, table), {"row_id": stored.id})


def with_managed_lists(resource: Resource, before: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values with the managed lists, as before or empty unless they are given, and with their counts."""
    if not resource.managed_lists:
        return values
    lists = {name: values.get(name, before.get(name, [])) for name in resource.managed_lists}
    counts = {name: len(lists[counted]) for name, counted in resource.child_counts.items() if counted in lists}
    return {**values, **lists, **counts}


def flush_buffers(tx: Transaction) -> None:
    """Free the memory of deferred work in a transaction that writes very many records (an import)."""
    tx.flush_deferred(search_index.write_all)
    counters.merge_pending(tx)
    invalidation.merge_pending(tx)
    if tx.engine.single_writer:
        # Writing history entries early delays no other writer here: they wait for this transaction anyway.
        tx.flush_deferred(hash_chain.append)


def rewrite_folded_texts(tx: Transaction, resource: Resource, chunk: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
    """Recompute and store the folded texts of these records."""
    if resource.folded is not None:
        rows = [{"id": identity, **folded_row(resource, values)} for identity, values in chunk]
        # Not an UPDATE: a row may be missing.
        tx.execute_many(_delete_statement(tx.engine, resource.folded), [{"row_id": row["id"]} for row in rows])
        tx.execute_many(_insert_statement(tx.engine, resource.folded, tuple(rows[0])), rows)


def _insert_child_rows(tx: Transaction, rows: ChildRows, lists: Mapping[int, Sequence[Mapping[str, Any]]]) -> None:
    """Insert the child rows of these records (by record id) with their position and folded texts."""
    kinds = _item_kinds(rows)
    written = [
        {rows.on: identity, rows.position: position}
        | {field: tx.engine.to_db(item[field], kind) for field, kind in kinds.items()}
        | {f"{field}_folded": _fold_value(item[field], kinds[field]) for field in _folded_item_fields(rows)}
        for identity, items in lists.items()
        for position, item in enumerate(items)
    ]
    if written:
        tx.execute_many(_insert_statement(tx.engine, rows.table, tuple(written[0])), written)


@cache
def _item_kinds(rows: ChildRows) -> dict[str, Kind]:
    return {name: field_annotations(info).kind for name, info in rows.item.model_fields.items()}


@cache
def _folded_item_fields(rows: ChildRows) -> tuple[str, ...]:
    return tuple(name for name in rows.item.model_fields if f"{name}_folded" in rows.table.c)


def folded_row(resource: Resource, values: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the folded texts of a record, and its attributes as the texts that filters compare."""
    assert resource.folded is not None
    names = [column.name for column in resource.folded.c if column.name != "id"]
    return {name: _fold_value(values[name], resource.own_fields[name].kind) for name in names}


def _fold_value(value: Any, kind: Kind) -> str | None:
    if value is None:
        return None
    return attributes.encode_representations(value) if kind is OBJECT else fold(value)


def _row(engine: Engine, resource: Resource, values: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: values[name] for name in _columns(resource) if name in values}
    for name in _converted_columns(engine, resource):
        if name in row:
            row[name] = engine.to_db(row[name], resource.own_fields[name].kind)
    row[resource.unique_column] = resource.unique_key_of(values[resource.key])
    for name, list_name in resource.child_counts.items():
        row[name] = len(values[list_name])
    return row


@cache
def _columns(resource: Resource) -> tuple[str, ...]:
    return tuple(name for name, field in resource.own_fields.items() if not field.joins and field.column is not None)


@cache
def _converted_columns(engine: Engine, resource: Resource) -> tuple[str, ...]:
    """Return the columns whose stored form differs from the API form."""
    return tuple(name for name in _columns(resource) if resource.own_fields[name].kind.name in engine.db_converters)


@cache
def _lock_statement(engine: Engine, table: Table, column: str) -> Statement:
    query = select(table.c.id).where(table.c[column] == bindparam("key", type_=table.c[column].type))
    return compile_statement(engine, query.with_for_update())


@cache
def _lock_several_statement(engine: Engine, resource: Resource) -> Statement:
    table, key = resource.table, resource.table.c[resource.unique_column]
    among = key.in_(engine.unnest_json_array(bindparam("keys", type_=Text()), key.type))
    # Lock in id order, so that two transactions that lock the same records cannot deadlock.
    return compile_statement(engine, select(table.c.id).where(among).order_by(table.c.id).with_for_update())


@cache
def _find_id_statement(engine: Engine, table: Table, column: str) -> Statement:
    query = select(table.c.id).where(table.c[column] == bindparam("key", type_=table.c[column].type))
    return compile_statement(engine, query)


@cache
def _insert_statement(engine: Engine, table: Table, columns: tuple[str, ...]) -> Statement:
    values = {name: bindparam(name, type_=table.c[name].type) for name in columns}
    return compile_statement(engine, sql_insert(table).values(values))


@cache
def _update_statement(engine: Engine, table: Table, columns: tuple[str, ...]) -> Statement:
    values = {name: bindparam(name, type_=table.c[name].type) for name in columns if name != "row_id"}
    return compile_statement(engine, sql_update(table).where(table.c.id == bindparam("row_id")).values(values))


@cache
def _delete_child_rows_statement(engine: Engine, rows: ChildRows) -> Statement:
    parent = rows.table.c[rows.on]
    return compile_statement(engine, delete(rows.table).where(parent == bindparam("parent", type_=parent.type)))


@cache
def _delete_statement(engine: Engine, table: Table) -> Statement:
    return compile_statement(engine, delete(table).where(table.c.id == bindparam("row_id")))
