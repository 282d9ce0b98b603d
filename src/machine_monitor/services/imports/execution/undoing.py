"""Undo an import: what it made and nobody changed since is deleted, what it changed gets its former values.

Machines, types and users stay: other records may name them by now. What an import wrote is known from the history, by
the id of its run. Each transaction of the undo is an entry of the history like any other.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import bindparam, literal_column, select

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import HISTORY, LOGS, RESOURCES, USERS
from machine_monitor.query.schema import Resource
from machine_monitor.services import records
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.imports.plan import provenance
from machine_monitor.services.imports.plan.provenance import Entry
from machine_monitor.services.records import Target, storage
from machine_monitor.services.records.storage import StoredRecord

CHUNK_SIZE = 1_000
# So many of the records that stay are listed.
MAX_LISTED = 1_000


class Run(NamedTuple):
    """One run of an import: its id, and the last history entry before it."""

    id: str
    after: int


class Undone(NamedTuple):
    """How many records an undo deleted and reverted, and how many it kept because others have changed them since."""

    deleted: int = 0
    reverted: int = 0
    kept: int = 0


def last_entry(tx: Transaction) -> int:
    """Return the number of the last history entry."""
    return hash_chain.head(tx).seq


def undo(database: Database, run: Run, context: ChangeContext) -> Undone:
    """Undo a run, a thousand entries at a time, newest first."""
    context = replace(context, request_id=run.id)
    before, total = database.snapshot(last_entry) + 1, Undone()
    while True:
        before, done = database.transact(lambda tx, before=before: _undo_chunk(tx, run, before, context))
        if before is None:
            return total
        total = Undone(*map(sum, zip(total, done, strict=True)))


def has_changed_users(tx: Transaction, run: Run) -> bool:
    """Whether a run changed users, whom undoing it would change back."""
    return bool(tx.execute(_changed_users_statement(tx.engine), run._asdict()))


def made_records(tx: Transaction, run: Run) -> dict[str, list[str]]:
    """Return the keys of the machines, types and users that a run made and that are still there, by resource."""
    found: dict[str, list[str]] = {resource.name: [] for resource in RESOURCES if resource is not LOGS}
    for name, identity in tx.execute(_made_statement(tx.engine), run._asdict()):
        resource = next(each for each in RESOURCES if each.name == name)
        stored = storage.read(tx, resource, identity, "id")
        if stored is not None:
            found[name].append(stored.values[resource.key])
    return found


def _undo_chunk(tx: Transaction, run: Run, before: int, context: ChangeContext) -> tuple[int | None, Undone]:
    values = {"run": run.id, "after": run.after, "before": before, "limit": CHUNK_SIZE}
    rows = tx.execute(_entries_statement(tx.engine), values)
    if not rows:
        return None, Undone()
    deleted = reverted = kept = 0
    by_resource = sorted({(name, identity) for _, name, identity in rows})
    for name, group in groupby(by_resource, key=lambda pair: pair[0]):
        resource = next(each for each in RESOURCES if each.name == name)
        entries = provenance.entries_of(tx, resource, [identity for _, identity in group])
        for identity, history in entries.items():
            outcome = _undo_record(tx, resource, identity, _of_run(history, run), context)
            deleted, reverted, kept = (
                deleted + (outcome == "deleted"),
                reverted + (outcome == "reverted"),
                kept + (outcome == "kept"),
            )
    storage.flush_buffers(tx)
    return rows[-1][0], Undone(deleted, reverted, kept)


def _of_run(history: Sequence[Entry], run: Run) -> tuple[list[Entry], bool]:
    """Return the entries of the run, and whether others have changed the record since its first."""
    recent = [entry for entry in history if entry.seq > run.after]
    own = [entry for entry in recent if entry.request_id == run.id]
    return own, any(entry.request_id != run.id and entry.seq > own[0].seq for entry in recent)


def _undo_record(
    tx: Transaction, resource: Resource, identity: int, found: tuple[Sequence[Entry], bool], context: ChangeContext
) -> str:
    """Undo what the run did to one record."""
    entries, is_changed = found
    stored = storage.find(tx, resource, identity, "id")
    if stored is None or stored.is_deleted or any(entry.op == "delete" for entry in entries):
        return "gone"
    was_made = entries[0].op in ("create", "restore") or _is_first(entries[0])
    if is_changed or (was_made and not resource.soft_delete):
        return "kept"
    if was_made:
        records.delete(tx, Target(resource, stored.values[resource.key]), context)
        return "deleted"
    values = _former_values(stored, entries)
    written = records.apply_values(tx, stored, values, context)
    return "reverted" if written.version != stored.version else "gone"


def _is_first(entry: Entry) -> bool:
    """Whether an entry is that of a record which a sync of the legacy tool has made."""
    return entry.op == "import" and entry.version == 1


def _former_values(stored: StoredRecord, entries: Sequence[Entry]) -> dict[str, Any]:
    values = dict(stored.writable_values)
    for entry in reversed(entries):
        values |= {name: change[0] for name, change in entry.changes.items()}
    return values


@cache
def _made_statement(engine: Engine) -> Statement:
    """Select what a run made, without its logs: (resource, record id), in the order of writing."""
    table = HISTORY.table
    query = select(table.c.resource, table.c.record_id).where(
        table.c.request_id == bindparam("id", type_=table.c.request_id.type),
        table.c.seq > bindparam("after", type_=INTEGER.column_type),
        table.c.op.in_([literal_column("'create'"), literal_column("'import'")]),
        table.c.version == literal_column("1"),
        table.c.resource != literal_column(f"'{LOGS.name}'"),
    )
    return compile_statement(engine, query.order_by(table.c.seq).limit(literal_column(str(MAX_LISTED))))


@cache
def _changed_users_statement(engine: Engine) -> Statement:
    table = HISTORY.table
    query = select(literal_column("1")).where(
        table.c.request_id == bindparam("id", type_=table.c.request_id.type),
        table.c.seq > bindparam("after", type_=INTEGER.column_type),
        table.c.resource == literal_column(f"'{USERS.name}'"),
        table.c.version > literal_column("1"),
    )
    return compile_statement(engine, query.limit(literal_column("1")))


@cache
def _entries_statement(engine: Engine) -> Statement:
    """Select the newest entries of a run: (number, resource, record id)."""
    table = HISTORY.table
    bound = {name: bindparam(name, type_=INTEGER.column_type) for name in ("after", "before", "limit")}
    query = select(table.c.seq, table.c.resource, table.c.record_id).where(
        table.c.request_id == bindparam("run", type_=table.c.request_id.type),
        table.c.seq > bound["after"],
        table.c.seq < bound["before"],
    )
    return compile_statement(engine, query.order_by(table.c.seq.desc()).limit(bound["limit"]))
