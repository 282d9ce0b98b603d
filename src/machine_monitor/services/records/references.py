"""References between records: a log names a machine, a type and a user, and follows them when they change."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, bindparam, literal_column, select, true, update

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Fault, invalid
from machine_monitor.query.schema import Reference, Referrer, Resource
from machine_monitor.query.sql.documents import all_records
from machine_monitor.services.projections import search_index
from machine_monitor.services.projections.search_index import IndexUpdate
from machine_monitor.services.records.storage import Stored
from machine_monitor.suggestions import did_you_mean

# One that resembles is looked for among so many: the search is slow, and others wait to write.
MAX_NAMES = 500
MAX_SUGGESTIONS = 10
RENAMED_AT_ONCE = 1_000


@dataclass
class Names:
    """What was found of the names that many records give, and what is wrong with those that are not there.

    By field and name: what our column gets, the name as it is stored, whether it is active; None if there is none.
    """

    rows: dict[tuple[str, str], Any] = field(default_factory=dict)
    faults: dict[tuple[str, str], Fault] = field(default_factory=dict)


@dataclass
class Found:
    """The records that a body names: what our columns hold, and the names as they are stored."""

    columns: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def resolve(
    tx: Transaction,
    resource: Resource,
    values: Mapping[str, Any],
    before: Mapping[str, Any] | None = None,
    names: Names | None = None,
) -> Found:
    """Find the records that `values` names, but for those it named `before`; `names` remembers what was found.

    Raises the 422 that lists those which are not there, or not active where the record is new.
    """
    found, faults = Found(), []
    names = names or Names()
    for name, related in resource.references.items():
        value = values[name]
        if before is not None and value == before[name]:
            continue
        if value is None:
            found.columns[related.on] = None
            continue
        if (name, value) not in names.rows:
            rows = tx.execute(_find(tx.engine, related), {"key": related.resource.lookup_key_of(value)})
            names.rows[name, value] = rows[0] if rows else None
        row = names.rows[name, value]
        if row is None:
            faults.append(_unknown(tx, name, related.resource, value, names))
        elif before is None and not row[2]:
            faults.append(Fault(f"The {related.resource.noun} '{value}' is not active.", "inactive", f"/{name}"))
        else:
            found.columns[related.on], found.names[name] = row[0], row[1]
    if faults:
        raise invalid(faults)
    return found


def refuse_if_in_use(tx: Transaction, stored: Stored) -> None:
    """Raise the problem of a record that others name; deleted records count."""
    for referrer in stored.resource.referrers:
        in_use = referrer.reference.in_use
        if in_use is not None and tx.execute(_naming(tx.engine, referrer), {"key": _held(referrer.reference, stored)}):
            raise in_use


def follow_rename(tx: Transaction, stored: Stored, key: str, at: str) -> None:
    """Let the records that name a renamed one follow: their version, and the words they are found by."""
    for referrer in stored.resource.referrers:
        if not referrer.reference.is_natural:
            _follow(tx, referrer, stored, key, at)


def _follow(tx: Transaction, referrer: Referrer, stored: Stored, key: str, at: str) -> None:
    resource, held = referrer.resource, {"key": _held(referrer.reference, stored)}
    tx.execute(_raise_versions(tx.engine, referrer), {**held, "at": tx.engine.to_db(at, TIME)})
    if referrer.name not in (*resource.searched, *resource.facet_words):
        return
    old, after = stored.values[stored.resource.key], 0
    while rows := tx.execute(_naming_records(tx.engine, referrer), {**held, "after": after, "limit": RENAMED_AT_ONCE}):
        for body, after, _ in rows:
            now = {**json.loads(body), referrer.name: key}
            search_index.enqueue_update(tx, IndexUpdate(resource, after, {**now, referrer.name: old}, now))
        tx.flush_deferred(search_index.write_all)


def _held(reference: Reference, stored: Stored) -> Any:
    """What the column of a record that names this one holds."""
    return stored.id if reference.to == "id" else stored.values[reference.to]


def _unknown(tx: Transaction, name: str, theirs: Resource, value: str, names: Names) -> Fault:
    """The fault of a name that is not there; the first ones get the nearest that is."""
    if (name, value) not in names.faults:
        hint = ""
        if len(names.faults) < MAX_SUGGESTIONS:
            known = [row[0] for row in tx.execute(_known_keys(tx.engine, theirs), {"limit": MAX_NAMES})]
            hint = did_you_mean(value, known)
        message = f"There is no {theirs.noun} '{value}'.{hint}"
        names.faults[name, value] = Fault(message, f"unknown-{name}", pointer=f"/{name}")
    return names.faults[name, value]


@cache
def _find(engine: Engine, related: Reference) -> Statement:
    theirs = related.resource
    table = theirs.table
    active = table.c.active if "active" in table.c else true()
    column = table.c[theirs.find_by]
    query = select(table.c[related.to], table.c[theirs.key], active).where(
        column == bindparam("key", type_=column.type), *_living(theirs)
    )
    # A rename waits for those who just read the old name: their words would keep it.
    return compile_statement(engine, query.with_for_update(read=True, key_share=True))


@cache
def _known_keys(engine: Engine, resource: Resource) -> Statement:
    column = resource.table.c[resource.key]
    query = select(column).where(*_living(resource)).order_by(column)
    return compile_statement(engine, query.limit(bindparam("limit", type_=INTEGER.column_type)))


def _living(resource: Resource) -> list[ColumnElement]:
    """What leaves out the deleted records, which a new one cannot name."""
    return [resource.table.c.deleted_at.is_(None)] if resource.soft_delete else []


@cache
def _naming(engine: Engine, referrer: Referrer) -> Statement:
    """Whether any record names the one that its column `key` holds."""
    query = select(literal_column("1")).select_from(referrer.resource.table).where(_names(referrer)).limit(1)
    return compile_statement(engine, query)


@cache
def _raise_versions(engine: Engine, referrer: Referrer) -> Statement:
    table = referrer.resource.table
    version = table.c.version + literal_column("1")
    at = bindparam("at", type_=table.c.updated_at.type)
    return compile_statement(engine, update(table).where(_names(referrer)).values(version=version, updated_at=at))


@cache
def _naming_records(engine: Engine, referrer: Referrer) -> Statement:
    """The records that name it, deleted ones too: (document, id, version)."""
    bound = {name: bindparam(name, type_=INTEGER.column_type) for name in ("after", "limit")}
    query = all_records(engine, referrer.resource).where(
        _names(referrer), referrer.resource.table.c.id > bound["after"]
    )
    return compile_statement(engine, query.limit(bound["limit"]))


def _names(referrer: Referrer) -> ColumnElement:
    column = referrer.resource.table.c[referrer.reference.on]
    return column == bindparam("key", type_=column.type)
