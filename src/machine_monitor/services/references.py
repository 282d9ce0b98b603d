"""What records say of each other: a log names a machine, a type and a user, and follows them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import bindparam, literal_column, select, true, update

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Fault, invalid
from machine_monitor.models import LOGS
from machine_monitor.query.statements.documents import all_records
from machine_monitor.query.vocabulary import Related, Resource
from machine_monitor.services.derived import search_index
from machine_monitor.services.derived.search_index import Change
from machine_monitor.services.storage import Stored
from machine_monitor.suggestions import nearest

# One that resembles is looked for among so many: the search is slow, and others wait to write.
MAX_NAMES = 500
RENAMED_AT_ONCE = 1_000


MAX_SUGGESTIONS = 10


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
    for name, related in resource.relations.items():
        value = values[name]
        if before is not None and value == before[name]:
            continue
        if value is None:
            found.columns[related.on] = None
            continue
        if (name, value) not in names.rows:
            rows = tx.run(_find(tx.engine, related), {"key": related.resource.normalise(value)})
            names.rows[name, value] = rows[0] if rows else None
        row = names.rows[name, value]
        if row is None:
            faults.append(_unknown(tx, name, value, names))
        elif before is None and not row[2]:
            faults.append(Fault(f"The {related.resource.noun} '{value}' is not active.", "inactive", f"/{name}"))
        else:
            found.columns[related.on], found.names[name] = row[0], row[1]
    if faults:
        raise invalid(faults)
    return found


def named_by_logs(tx: Transaction, stored: Stored) -> bool:
    """Whether any log, deleted ones included, names the record."""
    naming = [related for related in LOGS.relations.values() if related.resource is stored.resource]
    return any(tx.run(_naming(tx.engine, related), {"key": _their_key(related, stored)}) for related in naming)


def follow_rename(tx: Transaction, stored: Stored, name: str, at: str) -> None:
    """Let a machine's logs follow its new name: their version, and the words they are found by."""
    machine = {"machine_id": stored.id}
    tx.run(_raise_versions(tx.engine), {**machine, "at": tx.engine.store(at, TIME)})
    old, after = stored.values[stored.resource.key], 0
    while logs := tx.run(_logs_of(tx.engine), {**machine, "after": after, "limit": RENAMED_AT_ONCE}):
        for body, after, _ in logs:
            now = {**json.loads(body), "machine": name}
            search_index.follow(tx, Change(LOGS, after, {**now, "machine": old}, now))
        tx.flush_deferred(search_index.write_all)


def _their_key(related: Related, stored: Stored) -> Any:
    return stored.id if related.to == "id" else stored.values[related.to]


def _unknown(tx: Transaction, name: str, value: str, names: Names) -> Fault:
    """The fault of a name that is not there; the first ones are told the nearest that is."""
    if (name, value) not in names.faults:
        theirs, hint = LOGS.relations[name].resource, ""
        if len(names.faults) < MAX_SUGGESTIONS:
            known = [row[0] for row in tx.run(_names(tx.engine, theirs), {"limit": MAX_NAMES})]
            hint = nearest(value, known)
        message = f"There is no {theirs.noun} '{value}'.{hint}"
        names.faults[name, value] = Fault(message, f"unknown-{name}", pointer=f"/{name}")
    return names.faults[name, value]


@cache
def _find(engine: Engine, related: Related) -> Statement:
    theirs = related.resource
    table = theirs.table
    active = table.c.active if "active" in table.c else true()
    column = table.c[theirs.find_by]
    query = select(table.c[related.to], table.c[theirs.key], active).where(
        column == bindparam("key", type_=column.type)
    )
    # A rename waits for those who just read the old name: their words would keep it.
    return compile_statement(engine, query.with_for_update(read=True, key_share=True))


@cache
def _names(engine: Engine, resource: Resource) -> Statement:
    column = resource.table.c[resource.key]
    return compile_statement(
        engine, select(column).order_by(column).limit(bindparam("limit", type_=INTEGER.column_type))
    )


@cache
def _naming(engine: Engine, related: Related) -> Statement:
    column = LOGS.table.c[related.on]
    query = select(literal_column("1")).where(column == bindparam("key", type_=column.type)).limit(1)
    return compile_statement(engine, query.select_from(LOGS.table))


@cache
def _raise_versions(engine: Engine) -> Statement:
    table = LOGS.table
    version = table.c.version + literal_column("1")
    at = bindparam("at", type_=table.c.updated_at.type)
    of_machine = table.c.machine_id == bindparam("machine_id", type_=INTEGER.column_type)
    return compile_statement(engine, update(table).where(of_machine).values(version=version, updated_at=at))


@cache
def _logs_of(engine: Engine) -> Statement:
    table = LOGS.table
    bound = {name: bindparam(name, type_=INTEGER.column_type) for name in ("machine_id", "after", "limit")}
    query = all_records(engine, LOGS).where(table.c.machine_id == bound["machine_id"], table.c.id > bound["after"])
    return compile_statement(engine, query.limit(bound["limit"]))
