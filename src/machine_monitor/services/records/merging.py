"""Merge two records: one receives all records that refer to the other, which is then deleted."""

from functools import cache

from sqlalchemy import bindparam, update

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import CODE, INTEGER
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Conflict, Fault
from machine_monitor.models import LEGACY_IMPORTS
from machine_monitor.services.audit import history
from machine_monitor.services.audit.history import ChangeContext, ChangedRecord
from machine_monitor.services.records import operations, references, storage
from machine_monitor.services.records.operations import Target, WriteResult
from machine_monitor.services.records.storage import StoredRecord


def merge(tx: Transaction, target: Target, into: str, context: ChangeContext) -> WriteResult:
    """Move everything that refers to the target to the record with the key `into`, and delete the target.

    The referring records, deleted ones too, get a new version without history entries of their own, as after a rename.
    Both records get an entry `merge` with both keys. The rows of managed lists, such as attachments, move too: they are
    an update of the receiver. Raises `Conflict` if `into` is the target itself or is missing.
    """
    resource = target.resource
    source = target.find_or_fail(tx)
    target.preconditions.check(source)
    receiver = _find_receiver(tx, source, into)
    keys = [source.values[resource.key], receiver.values[resource.key]]
    references.reassign(tx, source, receiver, context.at)
    _reassign_imports(tx, source, receiver)
    storage.delete_row(tx, source)
    receiver = _take_over_lists(tx, source, receiver, context)
    storage.update(tx, receiver, receiver.writable_values, {}, context.at)
    for record, lost in ((source, history.changes_between(source.recorded_values, {})), (receiver, {})):
        changed = ChangedRecord(resource, record.id, record.values[resource.key], record.version + 1)
        history.append_entries(tx, "merge", [(changed, {**lost, resource.key: keys})], context)
    return operations.result_of(tx, ChangedRecord(resource, receiver.id, keys[1], receiver.version + 1))


def _find_receiver(tx: Transaction, source: StoredRecord, into: str) -> StoredRecord:
    resource = source.resource
    found = Target(resource, into).find(tx)
    if found is None:
        message = f"There is no {resource.noun} '{into}' to merge into."
        raise Conflict(faults=[Fault(message, f"unknown-{resource.noun}", "/into")])
    if found.id == source.id:
        message = f"A {resource.noun} cannot be merged into itself."
        raise Conflict(faults=[Fault(message, f"same-{resource.noun}", "/into")])
    return found


def _take_over_lists(
    tx: Transaction, source: StoredRecord, receiver: StoredRecord, context: ChangeContext
) -> StoredRecord:
    """Append the rows of the source's managed lists to those of the receiver; return the receiver as it is then."""
    lists = {name: source.values[name] for name in source.resource.managed_lists if source.values[name]}
    if not lists:
        return receiver
    joined = {name: [*receiver.values[name], *rows] for name, rows in lists.items()}
    operations.apply_values(tx, receiver, {**receiver.writable_values, **joined}, context)
    changed = storage.read(tx, receiver.resource, receiver.id, "id")
    assert changed is not None
    return changed


def _reassign_imports(tx: Transaction, source: StoredRecord, receiver: StoredRecord) -> None:
    """Let a later sync find the receiver for the legacy record that the source was imported from.

    The version is older than the receiver's `merge` entry, so that the sync takes the receiver as edited since the
    import: it reports differences, and overwrites nothing.
    """
    ids = {"source": source.id, "receiver": receiver.id, "version": receiver.version}
    tx.execute(_reassign_imports_statement(tx.engine), {**ids, "name": source.resource.name})


@cache
def _reassign_imports_statement(engine: Engine) -> Statement:
    table = LEGACY_IMPORTS
    bound = {name: bindparam(name, type_=INTEGER.column_type) for name in ("source", "receiver", "version")}
    is_of_source = [table.c.record_id == bound["source"], table.c.resource == bindparam("name", type_=CODE.column_type)]
    moved = update(table).where(*is_of_source).values(record_id=bound["receiver"], version=bound["version"])
    return compile_statement(engine, moved)
