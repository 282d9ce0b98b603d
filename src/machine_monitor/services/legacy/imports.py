"""What the database keeps of earlier imports, and the verbs that write one."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import and_, bindparam, exists, insert, literal_column, select, update

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import HISTORY, LEGACY_IMPORTS, LOGS
from machine_monitor.query.schema import Resource
from machine_monitor.services import records
from machine_monitor.services.audit import history
from machine_monitor.services.audit.history import Author, Subject
from machine_monitor.services.legacy.plan import Import, Known, Step
from machine_monitor.services.legacy.translate import Record
from machine_monitor.services.legacy.values import Edit
from machine_monitor.services.records import references, storage
from machine_monitor.services.records.references import ReferenceCache
from machine_monitor.services.records.storage import NewRecord, StoredRecord

BATCH = 500
VIA = "sync"
EDIT_NOTE = "An edit made in the legacy tool, which did not keep what it changed."


def known(tx: Transaction, resource: Resource, batch: Sequence[Record]) -> dict[str, Known]:
    """What the database holds of each of up to `BATCH` legacy keys; the records are locked until the end."""
    keys = [record.key for record in batch]
    values = {"resource": resource.name} | {f"k{i}": keys[i] if i < len(keys) else None for i in range(BATCH)}
    found = {key: Import(*rest) for key, *rest in tx.run(_imports(tx.engine), values)}
    others = storage.find_several(tx, resource, [key for key in keys if key not in found])
    return {record.key: _known(tx, record, found.get(record.key), others.get(record.key)) for record in batch}


def edits(tx: Transaction) -> dict[int, list[Edit]]:
    """The edits of the legacy tool that histories hold, by the id of their log."""
    found: dict[int, list[Edit]] = {}
    for record_id, at, user in tx.run(_edits(tx.engine, of_one=False), {}):
        found.setdefault(record_id, []).append(Edit(tx.engine.load(at, TIME), user))
    return found


def apply(tx: Transaction, steps: Iterable[Step], author: Author) -> None:
    """Write what was planned."""
    steps = list(steps)
    new = _create(tx, [step for step in steps if step.outcome == "created"], author)
    changed = [_row(tx, step, *_update(tx, step, author), author) for step in steps if step.outcome == "updated"]
    for step in steps:
        if step.outcome not in ("created", "updated") and step.stored is not None and not step.remembered:
            new.append(_row(tx, step, step.stored.id, step.stored.version, author))
    if new:
        tx.run_many(_remember(tx.engine), new)
    if changed:
        tx.run_many(_renew(tx.engine), changed)
    storage.flush_buffers(tx)


def _known(tx: Transaction, record: Record, imported: Import | None, stored: StoredRecord | None) -> Known:
    if imported is not None:
        # One that was deleted for good may have been made again.
        stored = storage.find(tx, record.resource, imported.record_id, "id")
        stored = stored or storage.find(tx, record.resource, record.key, record.resource.unique_column)
    return Known(imported, stored, _edits_of(tx, stored) if stored and record.edits else frozenset())


def _edits_of(tx: Transaction, stored: StoredRecord) -> frozenset[Edit]:
    rows = tx.run(_edits(tx.engine, of_one=True), {"record_id": stored.id})
    return frozenset(Edit(tx.engine.load(at, TIME), user) for _, at, user in rows)


def _create(tx: Transaction, steps: Sequence[Step], author: Author) -> list[dict[str, Any]]:
    """Add the records, all of one resource, with the history that they bring along, oldest first."""
    if not steps:
        return []
    resource, reference_cache = steps[0].record.resource, ReferenceCache()
    many = [
        NewRecord(step.values, references.resolve(tx, resource, step.values, reference_cache=reference_cache).columns)
        for step in steps
    ]
    ids = storage.insert(tx, resource, many, author.at)
    subjects = [
        Subject(resource, identity, new.values[resource.key], 1) for identity, new in zip(ids, many, strict=True)
    ]
    for subject, step in zip(subjects, steps, strict=True):
        _record_edits(tx, subject, step.record.edits)
    created = [(subject, history.creation(new.values)) for subject, new in zip(subjects, many, strict=True)]
    history.record(tx, "import", created, author)
    return [_row(tx, step, identity, 1, author) for step, identity in zip(steps, ids, strict=True)]


def _update(tx: Transaction, step: Step, author: Author) -> tuple[int, int]:
    """Make the record what its file says; its id and version."""
    stored, resource = step.stored, step.record.resource
    assert stored is not None
    if step.record.edits:
        before = _edits_of(tx, stored)
        subject = Subject(resource, stored.id, stored.values[resource.key], stored.version)
        _record_edits(tx, subject, [edit for edit in step.record.edits if edit not in before])
    return stored.id, records.apply_values(tx, stored, step.values, author, op="import").version


def _record_edits(tx: Transaction, subject: Subject, made: Iterable[Edit]) -> None:
    for edit in made:
        history.record(tx, "update", [(subject, {})], Author(VIA, edit.user, EDIT_NOTE, edit.at))


def _row(tx: Transaction, step: Step, identity: int, version: int, author: Author) -> dict[str, Any]:
    record = step.record
    return {
        "resource": record.resource.name,
        "key": record.key,
        "record_id": identity,
        "version": version,
        "raw": record.raw,
        "imported_at": tx.engine.store(author.at, TIME),
    }


@cache
def _imports(engine: Engine) -> Statement:
    table, entries = LEGACY_IMPORTS, HISTORY.table
    # A rename of a machine raises the version of its logs without an entry of their own.
    edited = exists(
        select(literal_column("1"))
        .select_from(entries)
        .where(
            entries.c.resource == table.c.resource,
            entries.c.record_id == table.c.record_id,
            entries.c.version > table.c.version,
        )
    )
    keys = [bindparam(f"k{i}", type_=table.c.key.type) for i in range(BATCH)]
    resource = bindparam("resource", type_=table.c.resource.type)
    query = select(table.c.key, table.c.record_id, table.c.version, edited)
    return compile_statement(engine, query.where(table.c.resource == resource, table.c.key.in_(keys)))


@cache
def _edits(engine: Engine, *, of_one: bool) -> Statement:
    table = HISTORY.table
    made = {"resource": LOGS.name, "via": VIA, "op": "update"}
    where = [table.c[name] == literal_column(f"'{value}'") for name, value in made.items()]
    if of_one:
        where.append(table.c.record_id == bindparam("record_id", type_=INTEGER.column_type))
    query = select(table.c.record_id, table.c.at, table.c.user).where(and_(*where)).order_by(table.c.seq)
    return compile_statement(engine, query)


@cache
def _remember(engine: Engine) -> Statement:
    columns = [column for column in LEGACY_IMPORTS.columns if column.name != "id"]
    values = {column: bindparam(column.name, type_=column.type) for column in columns}
    return compile_statement(engine, insert(LEGACY_IMPORTS).values(values))


@cache
def _renew(engine: Engine) -> Statement:
    table = LEGACY_IMPORTS
    names = ("record_id", "version", "raw", "imported_at")
    values = {name: bindparam(name, type_=table.c[name].type) for name in names}
    where = [table.c[name] == bindparam(name, type_=table.c[name].type) for name in ("resource", "key")]
    return compile_statement(engine, update(table).where(*where).values(values))
