"""Add, rename and remove the attachments of a record, in a unit of work. The bytes are in the store by then."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, false, select, union_all

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import UUID
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Conflict, Fault, FilesUnavailable, Gone, NotFound
from machine_monitor.models import RESOURCES
from machine_monitor.models.attachment import MAX_ATTACHMENTS
from machine_monitor.models.fields import is_uuid
from machine_monitor.query.schema import Resource
from machine_monitor.services.access import rules
from machine_monitor.services.audit.history import ChangeContext, ChangedRecord
from machine_monitor.services.files.receiving import ReceivedFile
from machine_monitor.services.files.store import FileStore
from machine_monitor.services.records import operations, storage
from machine_monitor.services.records.operations import Target, WriteResult
from machine_monitor.services.records.storage import StoredRecord

# The list of attachments in a record.
LIST = "attachments"
MISSING = "This attachment does not exist."
ATTACHABLE = tuple(resource for resource in RESOURCES if LIST in resource.child_lists)


class StoredAttachment(NamedTuple):
    """What a download needs of an attachment."""

    sha256: str
    name: str
    media_type: str
    bytes: int
    width: int | None
    is_deleted: bool


async def find(database: Database, identity: str) -> StoredAttachment:
    """Return an attachment by its id; raises `NotFound`, or `Gone` if its record is deleted."""
    if not is_uuid(identity):
        raise NotFound(MISSING)
    rows = await database.fetch(_find_statement(database.engine), {"id": identity.lower()})
    if not rows:
        raise NotFound(MISSING)
    attachment = StoredAttachment(*rows[0])
    if attachment.is_deleted:
        raise Gone
    return attachment


def require_editable(tx: Transaction, target: Target, count: int, context: ChangeContext) -> None:
    """Raise the problem that adding files would raise, before a client sends them. Nothing is locked."""
    key = operations.lookup_key(target.resource, target.key)
    stored = None if key is None else storage.read(tx, target.resource, key, target.resource.lookup_column)
    _require_room(_require_rights(tx, operations.require_not_deleted(target.resource, stored), context), count)


def add(
    tx: Transaction, target: Target, files: Sequence[ReceivedFile], store: FileStore, context: ChangeContext
) -> WriteResult:
    """Add files to a record; `created` says whether there was a new one.

    A file that the record has already, by id and digest, is not added again: so a retry is harmless.

    Raises `Conflict` if another file has an id, or if the record would have too many.
    """
    stored = _require_rights(tx, target.find_or_fail(tx), context)
    new = [file for file in files if not _is_repetition(tx, stored, file)]
    if new:
        target.preconditions.check_if_match(stored)
        _require_room(stored, len(new))
    rows = rows_of(tx, new, store, context)
    changed = _replace_rows(tx, stored, [*stored.values[LIST], *rows], context)
    return operations.result_of(tx, changed, created=bool(new))


def rows_of(
    tx: Transaction, files: Sequence[ReceivedFile], store: FileStore, context: ChangeContext
) -> list[dict[str, Any]]:
    """Return the rows that name files. From here to the commit `mm files prune` removes none of them."""
    if files:
        tx.acquire_files_lock(shared=True)
    for file in files:
        if store.find(file.digest) is None:
            reason = "The file was removed by `mm files prune` at this moment. Send it again."
            raise FilesUnavailable(reason, retry_after=1)
    return [
        {
            "id": file.id,
            "name": file.name,
            "media_type": file.inspection.media_type,
            "bytes": file.size,
            "sha256": file.digest,
            "width": file.inspection.width,
            "height": file.inspection.height,
            "user": context.user,
            "created_at": context.at,
        }
        for file in files
    ]


def rename(tx: Transaction, target: Target, identity: str, name: str, context: ChangeContext) -> WriteResult:
    """Give an attachment another name."""
    stored = _require_rights(tx, target.find_or_fail(tx), context)
    _row(stored, identity)
    target.preconditions.check_if_match(stored)
    return _change_rows(tx, stored, identity, lambda row: [{**row, "name": name}], context)


def remove(tx: Transaction, target: Target, identity: str, context: ChangeContext) -> WriteResult:
    """Remove an attachment from a record. The history keeps its name and digest."""
    stored = target.find_or_fail(tx)
    rules.check_removal(_row(stored, identity), context)
    target.preconditions.check_if_match(stored)
    return _change_rows(tx, stored, identity, lambda _: [], context)


def _change_rows(
    tx: Transaction,
    stored: StoredRecord,
    identity: str,
    change: Callable[[dict[str, Any]], list[dict[str, Any]]],
    context: ChangeContext,
) -> WriteResult:
    changed = [new for row in stored.values[LIST] for new in (change(row) if row["id"] == identity.lower() else [row])]
    return operations.result_of(tx, _replace_rows(tx, stored, changed, context))


def _replace_rows(
    tx: Transaction, stored: StoredRecord, rows: Sequence[Mapping[str, Any]], context: ChangeContext
) -> ChangedRecord:
    return operations.apply_values(tx, stored, {**stored.writable_values, LIST: [*rows]}, context)


def _row(stored: StoredRecord, identity: str) -> dict[str, Any]:
    for row in stored.values[LIST]:
        if row["id"] == identity.lower():
            return row
    raise NotFound(MISSING)


def _require_rights(tx: Transaction, stored: StoredRecord, context: ChangeContext) -> StoredRecord:
    rules.check_change(tx, stored, stored.writable_values, context)
    return stored


def _require_room(stored: StoredRecord, count: int) -> None:
    if len(stored.values[LIST]) + count > MAX_ATTACHMENTS:
        message = f"A {stored.resource.noun} has at most {MAX_ATTACHMENTS} attachments."
        raise Conflict(faults=[Fault(message, "too-many", "/files")])


def _is_repetition(tx: Transaction, stored: StoredRecord, file: ReceivedFile) -> bool:
    """Whether the record has this file already, by its id; raises `Conflict` if the id is that of another file."""
    for row in stored.values[LIST]:
        if row["id"] == file.id and row["sha256"] == file.digest:
            return True
    if tx.execute(_find_statement(tx.engine), {"id": file.id}):
        message = "Another file has this id. Choose a new one for each file."
        raise Conflict(faults=[Fault(message, "taken", "/id")])
    return False


@cache
def _find_statement(engine: Engine) -> Statement:
    """Select the attachment with this id, of whichever resource."""
    return compile_statement(engine, union_all(*(_select(resource) for resource in ATTACHABLE)))


def _select(resource: Resource) -> Select:
    rows, parent = resource.child_lists[LIST], resource.table
    columns = [rows.table.c[name] for name in StoredAttachment._fields[:-1]]
    is_deleted = parent.c.deleted_at.is_not(None) if resource.soft_delete else false()
    joined = rows.table.join(parent, rows.table.c[rows.on] == parent.c.id)
    return (
        select(*columns, is_deleted)
        .select_from(joined)
        .where(rows.table.c.id == bindparam("id", type_=UUID.column_type))
    )
