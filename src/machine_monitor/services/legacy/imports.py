"""Look up earlier imports, and write the planned steps."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import and_, bindparam, exists, insert, literal_column, select, update

from machine_monitor.database.engines import Engine, as_text
from machine_monitor.database.kinds import INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import HISTORY, LEGACY_IMPORTS, LOGS
from machine_monitor.query.schema import Resource
from machine_monitor.services import records
from machine_monitor.services.audit import hash_chain, history
from machine_monitor.services.audit.history import ChangeContext, ChangedRecord
from machine_monitor.services.legacy.plan import ORDER, ExistingState, Import, ImportSet, Step
from machine_monitor.services.legacy.report import Finding
from machine_monitor.services.legacy.translate import Record
from machine_monitor.services.legacy.values import Edit
from machine_monitor.services.records import references, storage
from machine_monitor.services.records.storage import NewRecord, StoredRecord

BATCH_SIZE = 500
VIA = "sync"
MISSING = "It was imported earlier, and is no longer there. It stays here: delete it here if it should go."
# The folders of the resources.
KINDS = {"machines": "machines", "logs": "logs", "users": "employs"}
EDIT_NOTE = "An edit made in the legacy tool, which did not record what was changed."


def find_existing(
    tx: Transaction, resource: Resource, batch: Sequence[Record], *, lock: bool
) -> dict[str, ExistingState]:
    """Return the stored state of up to BATCH_SIZE records, by legacy key.

    With `lock`, they are locked until the transaction ends.
    """
    keys = [record.key for record in batch]
    values = {"resource": resource.name} | {f"k{i}": keys[i] if i < len(keys) else None for i in range(BATCH_SIZE)}
    found = {key: Import(*rest) for key, *rest in tx.execute(_find_imports(tx.engine), values)}
    others = storage.find_several(tx, resource, [key for key in keys if key not in found], lock=lock)
    return {
        record.key: _existing(tx, record, found.get(record.key), others.get(record.key), lock=lock) for record in batch
    }


def missing(tx: Transaction, import_set: ImportSet) -> list[Finding]:
    """Return a note for each record that was imported earlier, is still here, and has no file any more."""
    findings = []
    for resource in ORDER:
        kind = KINDS.get(resource.name)
        read = {record.key for record in import_set.records[resource.name] if record.declared} | import_set.rejected[
            resource.name
        ]
        if kind is None or kind not in import_set.kinds:
            continue
        for key, record_id in tx.execute(_find_declared(tx.engine), {"resource": resource.name}):
            stored = storage.read(tx, resource, record_id, "id") if key not in read else None
            if stored is not None and not stored.is_deleted:
                findings.append(Finding(f"{kind}/{key}", None, "note", "missing", MISSING))
    return findings


def legacy_edits(tx: Transaction) -> dict[int, list[Edit]]:
    """Return the imported edits of the legacy tool from the history, by log id."""
    found: dict[int, list[Edit]] = {}
    for record_id, at, user in tx.execute(_find_edits(tx.engine, of_one_record=False), {}):
        found.setdefault(record_id, []).append(Edit(tx.engine.from_db(at, TIME), user))
    return found


def apply(tx: Transaction, steps: Iterable[Step], context: ChangeContext) -> None:
    """Write the planned steps."""
    steps = list(steps)
    created = [step for step in steps if step.outcome == "created"]
    new = _create(tx, [step for step in created if step.stored is None], context)
    changed = []
    for step in steps:
        if step.stored is not None and step.outcome in ("created", "updated"):
            row = _import_row(tx, step, *_update(tx, step, step.stored, context), context)
            (changed if step.has_import_row else new).append(row)
        if step.outcome not in ("created", "updated") and step.stored is not None and not step.has_import_row:
            new.append(_import_row(tx, step, step.stored.id, step.stored.version, context))
    if new:
        tx.execute_many(_insert_import_rows(tx.engine), new)
    if changed:
        tx.execute_many(_update_import_rows(tx.engine), changed)
    storage.flush_buffers(tx)


def _existing(
    tx: Transaction, record: Record, imported: Import | None, stored: StoredRecord | None, *, lock: bool
) -> ExistingState:
    if imported is not None:
        # A record that was deleted permanently may have been created again under the same key.
        stored = storage.find(tx, record.resource, imported.record_id, "id", lock=lock)
        stored = stored or storage.find(tx, record.resource, record.key, record.resource.unique_column, lock=lock)
    edits = _edits_of(tx, stored) if stored and record.edits else frozenset()
    return ExistingState(imported, stored, edits, is_undone=stored is not None and _is_undone(tx, stored))


def _is_undone(tx: Transaction, stored: StoredRecord) -> bool:
    """Whether a record is deleted because its import was undone. No sync deletes anything."""
    if not stored.is_deleted:
        return False
    values = {"resource": stored.resource.name, "record_id": stored.id}
    return [*tx.execute(_find_last_entry(tx.engine), values)] == [("delete", VIA)]


def _edits_of(tx: Transaction, stored: StoredRecord) -> frozenset[Edit]:
    rows = tx.execute(_find_edits(tx.engine, of_one_record=True), {"record_id": stored.id})
    return frozenset(Edit(tx.engine.from_db(at, TIME), user) for _, at, user in rows)


def _create(tx: Transaction, steps: Sequence[Step], context: ChangeContext) -> list[dict[str, Any]]:
    """Insert new records of one resource, each with its imported edits in the history, oldest first."""
    if not steps:
        return []
    resource = steps[0].record.resource
    new_records = [NewRecord(step.values, references.resolve(tx, resource, step.values).columns) for step in steps]
    new_records = [new.with_managed_lists(resource) for new in new_records]
    ids = tx.next_ids(resource.table.name, len(new_records))()
    storage.insert(tx, resource, new_records, context.at, ids)
    changed_records = [
        ChangedRecord(resource, identity, new.values[resource.key], 1)
        for identity, new in zip(ids, new_records, strict=True)
    ]
    for changed, step in zip(changed_records, steps, strict=True):
        _record_edits(tx, changed, step.record.edits)
    created = [
        (changed, history.creation_changes(new.values))
        for changed, new in zip(changed_records, new_records, strict=True)
    ]
    history.append_entries(tx, "import", created, context)
    return [_import_row(tx, step, identity, 1, context) for step, identity in zip(steps, ids, strict=True)]


def _update(tx: Transaction, step: Step, stored: StoredRecord, context: ChangeContext) -> tuple[int, int]:
    """Update a record from its file, and restore it first if it is deleted; returns its id and version."""
    resource = step.record.resource
    if stored.is_deleted:
        stored = records.restore_stored(tx, stored, context)
    if step.record.edits:
        before = _edits_of(tx, stored)
        changed = ChangedRecord(resource, stored.id, stored.values[resource.key], stored.version)
        _record_edits(tx, changed, [edit for edit in step.record.edits if edit not in before])
    return stored.id, records.apply_values(tx, stored, step.values, context, op="import").version


def _record_edits(tx: Transaction, changed: ChangedRecord, edits: Iterable[Edit]) -> None:
    for edit in edits:
        history.append_entries(tx, "update", [(changed, {})], ChangeContext(VIA, edit.user, EDIT_NOTE, edit.at))


def _import_row(tx: Transaction, step: Step, identity: int, version: int, context: ChangeContext) -> dict[str, Any]:
    record = step.record
    return {
        "resource": record.resource.name,
        "key": record.key,
        "record_id": identity,
        "version": version,
        "raw": record.raw,
        "imported_at": tx.engine.to_db(context.at, TIME),
    }


@cache
def _find_imports(engine: Engine) -> Statement:
    table, entries = LEGACY_IMPORTS, hash_chain.all_entries()
    # A record is edited if it has a newer history entry of another channel. A higher version is not enough: renaming a
    # machine raises the version of its logs, too. Newer entries of a sync come from undoing it.
    edited = exists(
        select(literal_column("1"))
        .select_from(entries)
        .where(
            entries.c.resource == table.c.resource,
            entries.c.record_id == table.c.record_id,
            entries.c.version > table.c.version,
            entries.c.via != literal_column(f"'{VIA}'"),
        )
    )
    keys = [bindparam(f"k{i}", type_=table.c.key.type) for i in range(BATCH_SIZE)]
    resource = bindparam("resource", type_=table.c.resource.type)
    query = select(table.c.key, table.c.record_id, table.c.version, edited)
    return compile_statement(engine, query.where(table.c.resource == resource, table.c.key.in_(keys)))


@cache
def _find_last_entry(engine: Engine) -> Statement:
    """Select the operation and the channel of a record's newest history entry."""
    table = hash_chain.all_entries()
    where = [table.c[name] == bindparam(name, type_=table.c[name].type) for name in ("resource", "record_id")]
    query = select(table.c.op, table.c.via).where(*where).order_by(table.c.seq.desc()).limit(literal_column("1"))
    return compile_statement(engine, query)


@cache
def _find_declared(engine: Engine) -> Statement:
    """Select the imported records that had a file: (key, record id)."""
    table = LEGACY_IMPORTS
    resource = bindparam("resource", type_=table.c.resource.type)
    query = select(table.c.key, table.c.record_id).where(table.c.resource == resource, table.c.raw.is_not(None))
    return compile_statement(engine, query.order_by(table.c.id))


@cache
def raw_statement(engine: Engine) -> Statement:
    """Compile: the imported records of a resource as they were: (key, text)."""
    table = LEGACY_IMPORTS
    resource = bindparam("resource", type_=table.c.resource.type)
    return compile_statement(engine, select(table.c.key, as_text(table.c.raw)).where(table.c.resource == resource))


@cache
def _find_edits(engine: Engine, *, of_one_record: bool) -> Statement:
    table = HISTORY.table
    imported = {"resource": LOGS.name, "via": VIA, "op": "update"}
    where = [table.c[name] == literal_column(f"'{value}'") for name, value in imported.items()]
    # An undo of an imported folder has a request id.
    where.append(table.c.request_id.is_(None))
    if of_one_record:
        where.append(table.c.record_id == bindparam("record_id", type_=INTEGER.column_type))
    query = select(table.c.record_id, table.c.at, table.c.user).where(and_(*where)).order_by(table.c.seq)
    return compile_statement(engine, query)


@cache
def _insert_import_rows(engine: Engine) -> Statement:
    columns = [column for column in LEGACY_IMPORTS.columns if column.name != "id"]
    values = {column: bindparam(column.name, type_=column.type) for column in columns}
    return compile_statement(engine, insert(LEGACY_IMPORTS).values(values))


@cache
def _update_import_rows(engine: Engine) -> Statement:
    table = LEGACY_IMPORTS
    names = ("record_id", "version", "raw", "imported_at")
    values = {name: bindparam(name, type_=table.c[name].type) for name in names}
    where = [table.c[name] == bindparam(name, type_=table.c[name].type) for name in ("resource", "key")]
    return compile_statement(engine, update(table).where(*where).values(values))
