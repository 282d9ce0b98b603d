"""History: each change adds its entry in the record's own transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import bindparam, insert

from machine_monitor.database import instants
from machine_monitor.database.connect import Transaction
from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.database.kinds import EVIDENCE, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.models import HISTORY
from machine_monitor.query.vocabulary import Resource
from machine_monitor.query.words import fold

Changes = Mapping[str, list[Any]]


@dataclass(frozen=True)
class Author:
    """Who changes something, by what way, when and why."""

    via: str
    user: str | None = None
    note: str | None = None
    at: str = field(default_factory=lambda: instants.text(instants.now()))


@dataclass(frozen=True)
class Subject:
    """The record that an entry is about, as it is after the change."""

    resource: Resource
    id: int
    key: str
    version: int


def record(tx: Transaction, op: str, changed: Sequence[tuple[Subject, Changes]], author: Author) -> None:
    """Add an entry for each of the records."""
    shared = {
        "at": tx.engine.store(author.at, TIME),
        "user": author.user,
        "via": author.via,
        "op": op,
        "note": author.note,
        "note_folded": None if author.note is None else fold(author.note),
    }
    entries = [
        {
            **shared,
            "resource": subject.resource.name,
            "record_id": subject.id,
            "key": subject.key,
            "version": subject.version,
            "changes": tx.engine.store(changes, EVIDENCE),
        }
        for subject, changes in changed
    ]
    tx.run_many(_insert(tx.engine), entries)


def creation(values: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The fields of a new record that have a value."""
    return {name: [None, value] for name, value in values.items() if value is not None}


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The fields that differ, each with its value before and after; null where there is none."""
    names = dict.fromkeys([*before, *after])
    return {name: [before.get(name), after.get(name)] for name in names if not _same(before.get(name), after.get(name))}


def _same(one: object, other: object) -> bool:
    """As JSON: `true` is not 1, members have no order."""
    if one is None or other is None:
        return one is other
    if type(one) is type(other) and not isinstance(one, dict):
        return one == other
    return canonical_json(_sorted(one)) == canonical_json(_sorted(other))


def _sorted(value: object) -> object:
    return dict(sorted(value.items())) if isinstance(value, dict) else value


@cache
def _insert(engine: Engine) -> Statement:
    columns = [column for column in HISTORY.table.columns if column.name != "seq"]
    return compile_statement(
        engine, insert(HISTORY.table).values({column: bindparam(column.name, type_=column.type) for column in columns})
    )
