"""What a record was when this mapping last wrote it, and whether it was edited or deleted here since: from its history.

An import is known by `via: import` and its mapping's name in `note`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Text, bindparam, literal_column, select

from machine_monitor.database.engines import Engine, as_text, canonical_json
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import HISTORY, MACHINES
from machine_monitor.query.schema import Resource
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.records.storage import StoredRecord

VIA = "import"


class Entry(NamedTuple):
    """A history entry of a record."""

    seq: int
    version: int
    op: str
    via: str
    note: str | None
    request_id: str | None
    changes: Mapping[str, list[Any]]


@dataclass(frozen=True)
class Provenance:
    """The history of a record as an import sees it.

    `imported`: the values when this mapping last wrote it, None if it never did. `is_edited`: whether others changed or
    deleted it since. `is_undone`: whether it is deleted because its import was undone.
    """

    imported: Mapping[str, Any] | None
    is_edited: bool
    is_undone: bool


def entries_of(tx: Transaction, resource: Resource, ids: Iterable[int]) -> dict[int, list[Entry]]:
    """Return the history of records by id, oldest entry first."""
    found: dict[int, list[Entry]] = {}
    values = {"resource": resource.name, "ids": canonical_json([*ids])}
    for identity, *rest, changes in tx.execute(_entries_statement(tx.engine), values):
        found.setdefault(identity, []).append(Entry(*rest, json.loads(changes)))
    return found


def trace(stored: StoredRecord, entries: list[Entry], mapping: str) -> Provenance:
    """Return where a record comes from."""
    is_undone = stored.is_deleted and bool(entries) and entries[-1].op == "delete" and entries[-1].via == VIA
    last = max(
        (i for i, entry in enumerate(entries) if _is_import(entry, mapping) and entry.op != "delete"), default=None
    )
    if last is None:
        return Provenance(None, is_edited=False, is_undone=is_undone)
    later = [entry for entry in entries[last + 1 :] if not _is_import(entry, mapping)]
    values = dict(stored.writable_values)
    for entry in reversed(entries[last + 1 :]):
        values |= {name: change[0] for name, change in entry.changes.items()}
    return Provenance(values, is_edited=bool(later), is_undone=is_undone)


def former_machine_names(tx: Transaction) -> dict[str, str]:
    """Return the machines that were renamed or merged: their present name, by the unique key of each former one."""
    names: dict[str, str] = {}
    for (text,) in tx.execute(_renames_statement(tx.engine), {}):
        old, new = json.loads(text)[MACHINES.key]
        names = {key: new if name == old else name for key, name in names.items()}
        names[MACHINES.unique_key_of(old)] = new
    return names


def _is_import(entry: Entry, mapping: str) -> bool:
    return entry.via == VIA and entry.note == mapping


@cache
def _renames_statement(engine: Engine) -> Statement:
    table = HISTORY.table
    query = select(as_text(table.c.changes)).where(
        table.c.resource == literal_column(f"'{MACHINES.name}'"),
        table.c.op.in_([literal_column("'rename'"), literal_column("'merge'")]),
    )
    return compile_statement(engine, query.order_by(table.c.seq))


@cache
def _entries_statement(engine: Engine) -> Statement:
    table = hash_chain.all_entries()
    ids = engine.unnest_json_array(bindparam("ids", type_=Text()), table.c.record_id.type)
    names = ("record_id", "seq", "version", "op", "via", "note", "request_id")
    query = select(*[table.c[name] for name in names], table.c.changes)
    query = query.where(
        table.c.resource == bindparam("resource", type_=table.c.resource.type), table.c.record_id.in_(ids)
    )
    return compile_statement(engine, query.order_by(table.c.seq))
