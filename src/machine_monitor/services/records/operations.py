"""Read, create, replace (PUT), update (PATCH), delete and restore one record."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from machine_monitor.database.connect import Database, SerializationConflict
from machine_monitor.database.kinds import UUID
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Conflict, Fault, Gone, NotFound, VersionConflict, invalid
from machine_monitor.models import USERS
from machine_monitor.models.fields import Schema
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.lists import Page
from machine_monitor.query.schema import Resource, Selection
from machine_monitor.query.sql.documents import record_statement, undeleted_records_statement
from machine_monitor.services.access import rules
from machine_monitor.services.accounts import account_sync
from machine_monitor.services.audit import history, record_history
from machine_monitor.services.audit.history import ChangeContext, ChangedRecord
from machine_monitor.services.projections import counters
from machine_monitor.services.records import references, storage, validation
from machine_monitor.services.records.preconditions import Preconditions
from machine_monitor.services.records.storage import NewRecord, StoredRecord


@dataclass(frozen=True)
class Target:
    """The target of a write: resource, key and preconditions."""

    resource: Resource
    key: str
    preconditions: Preconditions = field(default_factory=Preconditions)

    def find(self, tx: Transaction) -> StoredRecord | None:
        """Return the record, deleted or not; row-locked until the transaction ends."""
        key = lookup_key(self.resource, self.key)
        return None if key is None else storage.find(tx, self.resource, key)

    def find_or_fail(self, tx: Transaction) -> StoredRecord:
        """Return the record; raises `NotFound`, or `Gone` if it is deleted."""
        return require_not_deleted(self.resource, self.find(tx))


@dataclass(frozen=True)
class WriteResult:
    """The result of a write: whether the record is new, its key and version, and the record after the write.

    To use `record` within the unit of work costs a round trip to the server; after the commit it costs none.
    """

    created: bool
    key: str
    version: int
    read: Callable[[], StoredRecord | None]

    @cached_property
    def record(self) -> StoredRecord:
        """The record as GET returns it."""
        stored = self.read()
        assert stored is not None
        return stored


async def read(database: Database, resource: Resource, key: str, selection: Selection) -> StoredRecord:
    """Read a record by its key; raises `NotFound`, or `Gone` if it is deleted."""
    return require_not_deleted(resource, await _fetch(database, resource, key, selection))


async def read_history(database: Database, resource: Resource, key: str, query: ListQuery) -> Page:
    """Read a page of the history of a record, which may be a deleted log; raises `NotFound`."""
    stored = await _fetch(database, resource, key, Selection((resource.key,)))
    if stored is None:
        raise _not_found(resource)
    return await record_history.fetch(database, query, resource.name, stored.id)


async def _fetch(database: Database, resource: Resource, key: str, selection: Selection) -> StoredRecord | None:
    path_key = lookup_key(resource, key)
    if path_key is None:
        return None
    statement = await database.get_statement(
        record_statement, database.engine, resource, resource.lookup_column, selection
    )
    rows = await database.fetch(statement, {"key": path_key})
    return StoredRecord(resource, *rows[0]) if rows else None


def read_all(tx: Transaction, resource: Resource) -> list[dict[str, Any]]:
    """Return every record of a resource that is not deleted, in the order of insertion."""
    return [json.loads(row[0]) for row in tx.execute(undeleted_records_statement(tx.engine, resource), {})]


def create(
    tx: Transaction,
    resource: Resource,
    body: Schema,
    context: ChangeContext,
    managed: Mapping[str, Sequence[Any]] = MappingProxyType({}),
) -> WriteResult:
    """Create a record (POST), with the rows of its managed lists; raises `Conflict` if its key is taken."""
    values: dict[str, Any] = validation.as_json(body)
    values |= rules.default_author(resource, context, body.model_fields_set)
    rules.check_new(resource, values, context)
    # Check only keys that the client chose: a generated UUID is always free.
    if resource.key in body.model_fields_set and storage.find_id_by_key(tx, resource, values[resource.key]) is not None:
        raise _key_taken(resource)
    return result_of(tx, insert(tx, resource, {**values, **managed}, context), created=True)


def look_up_references(tx: Transaction, resource: Resource, body: Schema, user: str | None) -> None:
    """Begin the lookups of `create`, whose default author is `user`, without waiting for their results."""
    names = {name: getattr(body, name) for name in resource.references}
    if resource.author and resource.author not in body.model_fields_set:
        names[resource.author] = user
    references.look_up(tx, resource, names)


def replace(tx: Transaction, target: Target, body: Schema, context: ChangeContext) -> WriteResult:
    """Replace the record (PUT), or create it if it does not exist."""
    given = body.model_dump(mode="json", exclude_unset=True)
    _require_key_of_path(target, given)
    found = target.find(tx)
    if found is None:
        if faults := validation.key_faults(target.resource, target.key):
            raise invalid(faults)
        return _create_from_put(tx, target, given | rules.default_author(target.resource, context, given), context)
    stored = require_not_deleted(target.resource, found)
    preserved = {name: stored.values[name] for name in target.resource.preserved_on_put}
    desired = {**preserved, **_writable_fields(target.resource, given)}
    rules.check_change(tx, stored, desired, context)
    target.preconditions.check(stored)
    return _replace_values(tx, stored, given, desired, context)


def update(tx: Transaction, target: Target, body: Schema, context: ChangeContext) -> WriteResult:
    """Apply a JSON merge patch (RFC 7396) to the record."""
    given = body.model_dump(mode="json", exclude_unset=True)
    _require_key_of_path(target, given)
    stored = target.find_or_fail(tx)
    merged = stored.writable_values | _writable_fields(target.resource, given)
    if "attributes" in given:
        attributes = stored.values["attributes"] | given["attributes"]
        merged["attributes"] = {name: value for name, value in attributes.items() if value is not None}
    rules.check_change(tx, stored, merged, context)
    target.preconditions.check(stored)
    return _replace_values(tx, stored, given, merged, context)


def delete(tx: Transaction, target: Target, context: ChangeContext) -> None:
    """Delete the record.

    A log is soft-deleted and can be restored. A record of another resource is removed, unless a log references it.
    """
    stored = target.find_or_fail(tx)
    target.preconditions.check(stored)
    references.refuse_if_in_use(tx, stored)
    if target.resource is USERS:
        account_sync.after_user_delete(tx, stored.values)
    if target.resource.soft_delete:
        storage.mark_deleted(tx, stored, context.at)
    else:
        storage.delete_row(tx, stored)
    changed = ChangedRecord(target.resource, stored.id, str(stored.values[target.resource.key]), stored.version + 1)
    history.append_entries(tx, "delete", [(changed, history.changes_between(stored.recorded_values, {}))], context)


def restore(tx: Transaction, target: Target, context: ChangeContext) -> WriteResult:
    """Restore a deleted record; raises `Conflict` if it is not deleted."""
    stored = target.find(tx)
    if stored is None:
        raise _not_found(target.resource)
    target.preconditions.check(stored)
    if not stored.is_deleted:
        raise Conflict(f"The {target.resource.noun} is not deleted.")
    restored = restore_stored(tx, stored, context)
    return result_of(tx, ChangedRecord(target.resource, stored.id, target.key, restored.version))


def restore_stored(tx: Transaction, stored: StoredRecord, context: ChangeContext) -> StoredRecord:
    """Restore a deleted record that was read in this transaction; return it as it is then."""
    storage.restore(tx, stored, context.at)
    version = stored.version + 1
    changed = ChangedRecord(stored.resource, stored.id, str(stored.values[stored.resource.key]), version)
    history.append_entries(tx, "restore", [(changed, history.creation_changes(stored.recorded_values))], context)
    return dataclasses.replace(stored, version=version, is_deleted=False)


def insert(tx: Transaction, resource: Resource, values: Mapping[str, Any], context: ChangeContext) -> ChangedRecord:
    """Insert a validated record whose key is free.

    Raises `Invalid` if no new record may have the key, or if a referenced record does not exist.
    """
    validation.require_new_key(resource, values[resource.key])
    # Both are sent together with the lookups of the references, in one round trip.
    counters.lock_zone(tx, resource)
    new_ids = tx.next_ids(resource.table.name, 1)
    found = references.resolve(tx, resource, values)
    (identity,) = insert_all(tx, resource, [NewRecord({**values, **found.names}, found.columns)], context, new_ids)
    return ChangedRecord(resource, identity, values[resource.key], 1)


def insert_all(
    tx: Transaction,
    resource: Resource,
    new_records: Sequence[NewRecord],
    context: ChangeContext,
    new_ids: Callable[[], list[int]] | None = None,
) -> list[int]:
    """Insert validated records with their history entries; return their ids, which are allocated if not given."""
    new_records = [new.with_managed_lists(resource) for new in new_records]
    ids = (new_ids or tx.next_ids(resource.table.name, len(new_records)))()
    storage.insert(tx, resource, new_records, context.at, ids)
    changed_records = [
        ChangedRecord(resource, identity, new.values[resource.key], 1)
        for identity, new in zip(ids, new_records, strict=True)
    ]
    created = [
        (changed, history.creation_changes(new.values))
        for changed, new in zip(changed_records, new_records, strict=True)
    ]
    history.append_entries(tx, "create", created, context)
    return ids


def apply_values(
    tx: Transaction, stored: StoredRecord, values: Mapping[str, Any], context: ChangeContext, op: str = "update"
) -> ChangedRecord:
    """Set a stored record's values; a managed list that is absent keeps its rows.

    Identical values write nothing: no version, no history entry.
    """
    resource, before = stored.resource, stored.recorded_values
    found = references.resolve(tx, resource, values, before)
    values = storage.with_managed_lists(resource, before, {**values, **found.names})
    changes = history.changes_between(before, values)
    key = values[resource.key]
    if not changes:
        return ChangedRecord(resource, stored.id, key, stored.version)
    if resource is USERS:
        account_sync.after_user_update(tx, before, values, context)
    renamed = resource.key in changes
    if renamed:
        validation.require_new_key(resource, key)
    storage.update(tx, stored, values, found.columns, context.at)
    if renamed:
        references.propagate_rename(tx, stored, key, context.at)
    changed = ChangedRecord(resource, stored.id, key, stored.version + 1)
    history.append_entries(tx, "rename" if renamed else op, [(changed, changes)], context)
    return changed


def reject_immutable_changes(resource: Resource, given: Mapping[str, Any], stored: StoredRecord) -> None:
    """Raise `Invalid` if any of these read-only or immutable fields differs from its stored value."""
    faults = [
        Fault(
            f"'{name}' of a {resource.noun} cannot be changed: leave it out, or send its stored value.",
            "read-only",
            pointer=f"/{name}",
        )
        for name, value in given.items()
        if value != stored.values[name]
    ]
    if faults:
        raise invalid(faults)


def lookup_key(resource: Resource, key: str) -> str | None:
    """Convert a path key to its lookup form; None if no record can have it."""
    # Do not validate names here: a decomposed spelling can exceed the maximum length and still be equal.
    if "\0" in key or (resource.own_fields[resource.key].kind is UUID and validation.key_faults(resource, key)):
        return None
    return resource.lookup_key_of(key)


def _create_from_put(tx: Transaction, target: Target, given: dict[str, Any], context: ChangeContext) -> WriteResult:
    resource = target.resource
    rules.check_new(resource, given, context)
    target.preconditions.check_absent()
    faults = [
        Fault(f"'{name}' is read-only.", "read-only", pointer=f"/{name}")
        for name in given
        if name in resource.read_only
    ]
    if resource.lookup_key_of(given.get(resource.key, target.key)) != resource.lookup_key_of(target.key):
        message = (
            f"No {resource.noun} with this {resource.key} exists to rename. "
            f"To create one, use the same {resource.key} in the path and the body."
        )
        faults.append(Fault(message, pointer=f"/{resource.key}"))
    if faults:
        raise invalid(faults)
    values = _validate(resource, {resource.key: target.key, **given})
    # If both columns are the same, `target.find` has found that the key is free.
    if (
        resource.lookup_column != resource.unique_column
        and storage.find_id_by_key(tx, resource, values[resource.key]) is not None
    ):
        # A concurrent write created it after our lookup. Retrying replaces that record.
        raise SerializationConflict(_key_taken(resource).detail)
    return result_of(tx, insert(tx, resource, values, context), created=True)


def _replace_values(
    tx: Transaction, stored: StoredRecord, given: dict[str, Any], desired: dict[str, Any], context: ChangeContext
) -> WriteResult:
    resource = stored.resource
    if given.get("version", stored.version) != stored.version:
        raise VersionConflict(current=stored.values)
    key, stored_key = (resource.unique_key_of(values[resource.key]) for values in (desired, stored.values))
    if key != stored_key and storage.find_id_by_key(tx, resource, desired[resource.key]) is not None:
        raise _key_taken(resource)
    values = _validate(resource, desired)
    fixed = {name: given[name] for name in given if name in resource.read_only or name in resource.immutable}
    reject_immutable_changes(resource, fixed, stored)
    return result_of(tx, apply_values(tx, stored, values, context))


def _require_key_of_path(target: Target, given: Mapping[str, Any]) -> None:
    """Raise `Invalid` if the body's immutable key differs from the path."""
    key, resource = target.resource.key, target.resource
    if key in resource.immutable and resource.lookup_key_of(given.get(key, target.key)) != resource.lookup_key_of(
        target.key
    ):
        raise invalid([Fault(f"'{key}' must be the same as in the path.", pointer=f"/{key}")])


def _validate(resource: Resource, values: Mapping[str, Any]) -> dict[str, Any]:
    return validation.as_json(validation.validate(resource.create, values))


def _writable_fields(resource: Resource, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in resource.read_only}


def result_of(tx: Transaction, changed: ChangedRecord, *, created: bool = False) -> WriteResult:
    """Read a record back after a write in this transaction."""
    read = storage.read_later(tx, changed.resource, changed.id, "id")
    return WriteResult(created, changed.key, changed.version, read)


def require_not_deleted(resource: Resource, stored: StoredRecord | None) -> StoredRecord:
    """Return the record; raises `NotFound` if there is none, or `Gone` if it is deleted."""
    if stored is None:
        raise _not_found(resource)
    if stored.is_deleted:
        raise Gone
    return stored


def _not_found(resource: Resource) -> NotFound:
    return NotFound(f"This {resource.noun} does not exist.")


def _key_taken(resource: Resource) -> Conflict:
    message = f"A {resource.noun} with this {resource.key} already exists. Choose another one, or change that record."
    return Conflict(faults=[Fault(message, "taken", f"/{resource.key}")])
