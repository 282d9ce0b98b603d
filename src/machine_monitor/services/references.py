"""What records say of each other: a log names a machine, a type and a user, and follows them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Text, bindparam, func, literal_column, select, true, update

from machine_monitor.database.connect import Transaction
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.errors import Fault, invalid, nearest
from machine_monitor.models import LOGS
from machine_monitor.query.vocabulary import Related, Resource
from machine_monitor.query.words import DIVIDER, cut
from machine_monitor.services.storage import Stored

# One that resembles is looked for among so many: the search is slow, and others wait to write.
MAX_NAMES = 500


@dataclass
class Found:
    """The records that a body names: what our columns hold, and the names as they are stored."""

    columns: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def resolve(
    tx: Transaction, resource: Resource, values: Mapping[str, Any], before: Mapping[str, Any] | None = None
) -> Found:
    """Find the records that `values` names, but for those it named `before`.

    Raises the 422 that lists those which are not there, or not active where the record is new.
    """
    found, faults = Found(), []
    for name, related in resource.relations.items():
        value = values[name]
        if before is not None and value == before[name]:
            continue
        if value is None:
            found.columns[related.on] = None
            continue
        rows = tx.run(_find(tx.engine, related), {"key": related.resource.normalise(value)})
        if not rows:
            faults.append(_unknown(tx, name, related, value))
        elif before is None and not rows[0][2]:
            faults.append(Fault(f"The {related.resource.noun} '{value}' is not active.", pointer=f"/{name}"))
        else:
            found.columns[related.on], found.names[name] = rows[0][0], rows[0][1]
    if faults:
        raise invalid(faults)
    return found


def named_by_logs(tx: Transaction, stored: Stored) -> bool:
    """Whether any log, deleted ones included, names the record."""
    naming = [related for related in LOGS.relations.values() if related.resource is stored.resource]
    return any(tx.run(_naming(tx.engine, related), {"key": _their_key(related, stored)}) for related in naming)


def follow_rename(tx: Transaction, stored: Stored, name: str, at: str) -> None:
    """Let a machine's logs follow its new name: their version, and the words they are found by."""
    words = " ".join(["", *cut(name), ""])
    values = {"machine_id": stored.id, "at": tx.engine.store(at, TIME), "words": words, "divider": DIVIDER}
    for statement in _follow(tx.engine):
        tx.run(statement, values)


def _their_key(related: Related, stored: Stored) -> Any:
    return stored.id if related.to == "id" else stored.values[related.to]


def _unknown(tx: Transaction, name: str, related: Related, value: str) -> Fault:
    names = [row[0] for row in tx.run(_names(tx.engine, related.resource), {"limit": MAX_NAMES})]
    return Fault(
        f"There is no {related.resource.noun} '{value}'.{nearest(value, names)}", f"unknown-{name}", pointer=f"/{name}"
    )


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
def _follow(engine: Engine) -> tuple[Statement, Statement]:
    table, folded = LOGS.table, LOGS.folded
    assert folded is not None
    machine = bindparam("machine_id", type_=INTEGER.column_type)
    versions = (
        update(table)
        .where(table.c.machine_id == machine)
        .values(
            version=table.c.version + literal_column("1"), updated_at=bindparam("at", type_=table.c.updated_at.type)
        )
    )
    # The machine's words are what each document has before its first divider.
    rest = func.substr(folded.c.words, engine.position(folded.c.words, bindparam("divider", type_=Text())))
    words = (
        update(folded)
        .where(folded.c.id.in_(select(table.c.id).where(table.c.machine_id == machine)))
        .values(words=bindparam("words", type_=Text()).concat(rest))
    )
    return compile_statement(engine, versions), compile_statement(engine, words)
