"""References between records: resolve names to keys, refuse to delete referenced records, propagate renames."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, bindparam, literal_column, select, true, update

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Lookup, Transaction
from machine_monitor.errors import Fault, invalid
from machine_monitor.query.schema import Reference, Referrer, Resource
from machine_monitor.query.sql.documents import all_records
from machine_monitor.services.projections import counters, search_index
from machine_monitor.services.projections.reliability import invalidation
from machine_monitor.services.projections.search_index import IndexUpdate
from machine_monitor.services.records.storage import StoredRecord
from machine_monitor.suggestions import did_you_mean

# Suggestions compare with at most this many names: the comparison is slow and holds up other writers.
MAX_CANDIDATES = 500
MAX_SUGGESTIONS = 10
RENAME_CHUNK = 1_000


# The fault of each unknown name, by field and name.
UnknownNames = dict[tuple[str, str], Fault]


@dataclass
class ResolvedReferences:
    """The resolved references of a body: its foreign key columns, and the names in their stored spelling."""

    columns: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def resolve(
    tx: Transaction,
    resource: Resource,
    values: Mapping[str, Any],
    before: Mapping[str, Any] | None = None,
    unknown: UnknownNames | None = None,
) -> ResolvedReferences:
    """Look up the records that `values` references, except those that are unchanged since `before`.

    Raises `Invalid` with a fault for each unknown name and, on a new record (`before` is None), for each inactive
    one. Records that are given the same `unknown` share the faults of unknown names.
    """
    found, faults = ResolvedReferences(), []
    unknown = {} if unknown is None else unknown
    changed = {name: values[name] for name in resource.references if before is None or values[name] != before[name]}
    look_up(tx, resource, changed)
    for name, value in changed.items():
        related = resource.references[name]
        if value is None:
            found.columns[related.on] = None
            continue
        row = tx.lookups[related, value].row
        if row is None:
            faults.append(_unknown_name_fault(tx, name, related.resource, value, unknown))
        elif before is None and not row[2]:
            faults.append(Fault(f"The {related.resource.noun} '{value}' is not active.", "inactive", f"/{name}"))
        else:
            found.columns[related.on], found.names[name] = row[0], row[1]
    if faults:
        raise invalid(faults)
    return found


def look_up(tx: Transaction, resource: Resource, names: Mapping[str, Any]) -> None:
    """Look up the records of these names, later in the sense of `execute_later`, unless the transaction has done so.

    It then knows of each: (column value, stored name, is active), or None if no such record exists.
    """
    for name, value in names.items():
        related = resource.references[name]
        if value is not None and (related, value) not in tx.lookups:
            key = {"key": related.resource.lookup_key_of(value)}
            tx.lookups[related, value] = Lookup(tx.execute_later(_lookup_statement(tx.engine, related), key))


def refuse_if_in_use(tx: Transaction, stored: StoredRecord) -> None:
    """Raise the reference's `in_use` problem if any record, deleted or not, references this one."""
    for referrer in stored.resource.referrers:
        in_use = referrer.reference.in_use
        if in_use is not None and tx.execute(
            _is_referenced_statement(tx.engine, referrer), {"key": _foreign_key_value(referrer.reference, stored)}
        ):
            raise in_use


def propagate_rename(tx: Transaction, stored: StoredRecord, key: str, at: str) -> None:
    """Update all records that reference a renamed record: their version, timestamp and search words."""
    for referrer in stored.resource.referrers:
        if not referrer.reference.is_natural:
            _propagate_to(tx, referrer, stored, key, at)


def reassign(tx: Transaction, source: StoredRecord, receiver: StoredRecord, at: str) -> None:
    """Make all records that reference `source` reference `receiver`, which propagates like a rename."""
    for referrer in source.resource.referrers:
        _propagate_to(tx, referrer, source, receiver.values[receiver.resource.key], at)
        keys = {"key": _foreign_key_value(referrer.reference, source)}
        keys["receiver"] = _foreign_key_value(referrer.reference, receiver)
        tx.execute(_reassign_statement(tx.engine, referrer), keys)
        counters.reassign(tx, referrer, keys["key"], keys["receiver"])
    invalidation.enqueue_merge(tx, source.resource, source.id, receiver.id)


def _propagate_to(tx: Transaction, referrer: Referrer, stored: StoredRecord, key: str, at: str) -> None:
    resource, bound = referrer.resource, {"key": _foreign_key_value(referrer.reference, stored)}
    tx.execute(_increment_versions_statement(tx.engine, referrer), {**bound, "at": tx.engine.to_db(at, TIME)})
    if referrer.name not in (*resource.searched, *resource.facet_token_fields):
        return
    old, after = stored.values[stored.resource.key], 0
    while rows := tx.execute(
        _referring_records_statement(tx.engine, referrer), {**bound, "after": after, "limit": RENAME_CHUNK}
    ):
        for body, after, _ in rows:
            now = {**json.loads(body), referrer.name: key}
            search_index.enqueue_update(tx, IndexUpdate(resource, after, {**now, referrer.name: old}, now))
        tx.flush_deferred(search_index.write_all)


def _foreign_key_value(reference: Reference, stored: StoredRecord) -> Any:
    """Return the value that a referring column holds for this record."""
    return stored.id if reference.to == "id" else stored.values[reference.to]


def _unknown_name_fault(tx: Transaction, name: str, referenced: Resource, value: str, unknown: UnknownNames) -> Fault:
    """Return the fault for an unknown name; the first MAX_SUGGESTIONS include the closest existing name."""
    if (name, value) not in unknown:
        hint = ""
        if len(unknown) < MAX_SUGGESTIONS:
            candidates = [
                row[0] for row in tx.execute(_known_keys_statement(tx.engine, referenced), {"limit": MAX_CANDIDATES})
            ]
            hint = did_you_mean(value, candidates)
        message = f"There is no {referenced.noun} '{value}'.{hint}"
        unknown[name, value] = Fault(message, f"unknown-{name}", pointer=f"/{name}")
    return unknown[name, value]


@cache
def _lookup_statement(engine: Engine, related: Reference) -> Statement:
    referenced = related.resource
    table = referenced.table
    active = table.c.active if "active" in table.c else true()
    column = table.c[referenced.lookup_column]
    query = select(table.c[related.to], table.c[referenced.key], active).where(
        column == bindparam("key", type_=column.type), *_not_deleted(referenced)
    )
    # FOR KEY SHARE: a concurrent rename must wait, otherwise this record would index the old name.
    return compile_statement(engine, query.with_for_update(read=True, key_share=True))


@cache
def _known_keys_statement(engine: Engine, resource: Resource) -> Statement:
    column = resource.table.c[resource.key]
    query = select(column).where(*_not_deleted(resource)).order_by(column)
    return compile_statement(engine, query.limit(bindparam("limit", type_=INTEGER.column_type)))


def _not_deleted(resource: Resource) -> list[ColumnElement]:
    """Return the conditions that exclude deleted records, which cannot be referenced."""
    return [resource.table.c.deleted_at.is_(None)] if resource.soft_delete else []


@cache
def _is_referenced_statement(engine: Engine, referrer: Referrer) -> Statement:
    """Select a row if any record references the one whose foreign key value is `key`."""
    query = select(literal_column("1")).select_from(referrer.resource.table).where(_references_key(referrer)).limit(1)
    return compile_statement(engine, query)


@cache
def _increment_versions_statement(engine: Engine, referrer: Referrer) -> Statement:
    table = referrer.resource.table
    version = table.c.version + literal_column("1")
    at = bindparam("at", type_=table.c.updated_at.type)
    return compile_statement(
        engine, update(table).where(_references_key(referrer)).values(version=version, updated_at=at)
    )


@cache
def _reassign_statement(engine: Engine, referrer: Referrer) -> Statement:
    table, on = referrer.resource.table, referrer.reference.on
    receiver = bindparam("receiver", type_=table.c[on].type)
    return compile_statement(engine, update(table).where(_references_key(referrer)).values({on: receiver}))


@cache
def _referring_records_statement(engine: Engine, referrer: Referrer) -> Statement:
    """Select the records that reference it, including deleted ones: (document, id, version)."""
    bound = {name: bindparam(name, type_=INTEGER.column_type) for name in ("after", "limit")}
    query = all_records(engine, referrer.resource).where(
        _references_key(referrer), referrer.resource.table.c.id > bound["after"]
    )
    return compile_statement(engine, query.limit(bound["limit"]))


def _references_key(referrer: Referrer) -> ColumnElement:
    column = referrer.resource.table.c[referrer.reference.on]
    return column == bindparam("key", type_=column.type)
