"""Records: read one, create, replace, update, delete; each change with its history in one transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from machine_monitor.database.connect import Database, SerializationConflict
from machine_monitor.database.kinds import UUID
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Conflict, Fault, Gone, NotFound, VersionConflict, invalid
from machine_monitor.models import USERS
from machine_monitor.models.fields import Schema
from machine_monitor.query import lists
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.lists import Page
from machine_monitor.query.schema import Resource, Selection
from machine_monitor.query.sql.documents import record_statement, undeleted_records_statement
from machine_monitor.services.access import rules
from machine_monitor.services.accounts import members
from machine_monitor.services.audit import history
from machine_monitor.services.audit.history import Author, Subject
from machine_monitor.services.records import references, storage, validation
from machine_monitor.services.records.preconditions import Conditions
from machine_monitor.services.records.storage import New, Stored


@dataclass(frozen=True)
class Target:
    """The record that a write is about: where it is, and what must be true of it."""

    resource: Resource
    key: str
    conditions: Conditions = field(default_factory=Conditions)

    def find(self, tx: Transaction) -> Stored | None:
        """The record, deleted or not, locked until the end."""
        key = find_key(self.resource, self.key)
        return None if key is None else storage.find(tx, self.resource, key)

    def find_living(self, tx: Transaction) -> Stored:
        """The record; raises 404 or 410."""
        return _living(self.resource, self.find(tx))


class Written(NamedTuple):
    """A record after a write, as the JSON that a GET of it gives."""

    created: bool
    key: str
    version: int
    body: str


async def read(database: Database, resource: Resource, key: str, selection: Selection) -> Stored:
    """One record by its key; raises `NotFound` or `Gone`."""
    return _living(resource, await _fetch(database, resource, key, selection))


async def read_history(database: Database, resource: Resource, key: str, query: ListQuery) -> Page:
    """A page of a record's history, also of a deleted log's; raises `NotFound`."""
    stored = await _fetch(database, resource, key, Selection((resource.key,)))
    if stored is None:
        raise _not_found(resource)
    return await lists.fetch(database, query, {"resource": resource.name, "record_id": stored.id})


async def _fetch(database: Database, resource: Resource, key: str, selection: Selection) -> Stored | None:
    found = find_key(resource, key)
    if found is None:
        return None
    statement = record_statement(database.engine, resource, resource.find_by, selection)
    rows = await database.fetch(statement, {"key": found})
    return Stored(resource, *rows[0]) if rows else None


def read_all(tx: Transaction, resource: Resource) -> list[dict[str, Any]]:
    """Every living record of a resource, in the order of writing."""
    return [json.loads(row[0]) for row in tx.run(undeleted_records_statement(tx.engine, resource), {})]


def create(tx: Transaction, resource: Resource, body: Schema, author: Author) -> Written:
    """Add a record; raises `Conflict` if its key is taken."""
    values: dict[str, Any] = validation.as_json(body)
    values |= rules.default_author(resource, author, body.model_fields_set)
    rules.check_new(resource, values, author)
    # One that was just made is nobody's.
    if resource.key in body.model_fields_set and storage.taken(tx, resource, values[resource.key]) is not None:
        raise _taken(resource)
    return insert(tx, resource, values, author)


def replace(tx: Transaction, target: Target, body: Schema, author: Author) -> Written:
    """Make the record what `body` says, creating it if there is none."""
    given = body.model_dump(mode="json", exclude_unset=True)
    _check_key(target, given)
    found = target.find(tx)
    if found is None:
        if faults := validation.key_faults(target.resource, target.key):
            raise invalid(faults)
        return _create_at(tx, target, given | rules.default_author(target.resource, author, given), author)
    stored = _living(target.resource, found)
    preserved = {name: stored.values[name] for name in target.resource.preserved_on_put}
    desired = {**preserved, **_writable(target.resource, given)}
    rules.check_change(tx, stored, desired, author)
    target.conditions.check(stored)
    return _change_to(tx, stored, given, desired, author)


def update(tx: Transaction, target: Target, body: Schema, author: Author) -> Written:
    """Apply a JSON merge patch (RFC 7396) to the record."""
    given = body.model_dump(mode="json", exclude_unset=True)
    _check_key(target, given)
    stored = target.find_living(tx)
    merged = stored.shown | _writable(target.resource, given)
    if "attributes" in given:
        attributes = stored.values["attributes"] | given["attributes"]
        merged["attributes"] = {name: value for name, value in attributes.items() if value is not None}
    rules.check_change(tx, stored, merged, author)
    target.conditions.check(stored)
    return _change_to(tx, stored, given, merged, author)


def delete(tx: Transaction, target: Target, author: Author) -> None:
    """Delete the record: a log can be restored, others must not be named by any log."""
    stored = target.find_living(tx)
    target.conditions.check(stored)
    references.refuse_if_in_use(tx, stored)
    if target.resource is USERS:
        members.follow_removal(tx, stored.values)
    if target.resource.soft_delete:
        storage.mark_deleted(tx, stored, author.at)
    else:
        storage.remove(tx, stored)
    subject = Subject(target.resource, stored.id, str(stored.values[target.resource.key]), stored.version + 1)
    history.record(tx, "delete", [(subject, history.changes_between(stored.shown, {}))], author)


def restore(tx: Transaction, target: Target, author: Author) -> Written:
    """Bring a deleted record back as it was; raises `Conflict` if it lives."""
    stored = target.find(tx)
    if stored is None:
        raise _not_found(target.resource)
    target.conditions.check(stored)
    if not stored.deleted:
        raise Conflict(f"The {target.resource.noun} is not deleted.")
    storage.restore(tx, stored, author.at)
    subject = Subject(target.resource, stored.id, str(stored.values[target.resource.key]), stored.version + 1)
    history.record(tx, "restore", [(subject, history.creation(stored.shown))], author)
    return _written(tx, target.resource, stored.id, target.key, created=False)


def insert(tx: Transaction, resource: Resource, values: Mapping[str, Any], author: Author) -> Written:
    """Add a record of checked values whose key is free; raises 422 if it names what is not there."""
    found = references.resolve(tx, resource, values)
    (identity,) = insert_all(tx, resource, [New({**values, **found.names}, found.columns)], author)
    return _written(tx, resource, identity, values[resource.key], created=True)


def insert_all(tx: Transaction, resource: Resource, many: Sequence[New], author: Author) -> list[int]:
    """Add records of checked values, with their history; their ids."""
    ids = storage.insert(tx, resource, many, author.at)
    subjects = [
        Subject(resource, identity, new.values[resource.key], 1) for identity, new in zip(ids, many, strict=True)
    ]
    created = [(subject, history.creation(new.values)) for subject, new in zip(subjects, many, strict=True)]
    history.record(tx, "create", created, author)
    return ids


def change(tx: Transaction, stored: Stored, values: Mapping[str, Any], author: Author, op: str = "update") -> Written:
    """Make a stored record's writable values these; the same values leave no trace."""
    resource, before = stored.resource, stored.shown
    found = references.resolve(tx, resource, values, before)
    values = {**values, **found.names}
    changes = history.changes_between(before, values)
    key = values[resource.key]
    if not changes:
        return Written(created=False, key=key, version=stored.version, body=stored.body)
    if resource is USERS:
        members.follow_change(tx, before, values)
    renamed = resource.key in changes
    storage.update(tx, stored, values, found.columns, author.at)
    if renamed:
        references.follow_rename(tx, stored, key, author.at)
    subject = Subject(resource, stored.id, key, stored.version + 1)
    history.record(tx, "rename" if renamed else op, [(subject, changes)], author)
    return _written(tx, resource, stored.id, key, created=False)


def check_fixed(resource: Resource, given: Mapping[str, Any], stored: Stored) -> None:
    """Raise the 422 of fields that never change where these values differ from what is stored."""
    faults = [
        Fault(f"'{name}' of a {resource.noun} does not change.", "read-only", pointer=f"/{name}")
        for name, value in given.items()
        if value != stored.values[name]
    ]
    if faults:
        raise invalid(faults)


def find_key(resource: Resource, key: str) -> str | None:
    """What to look for; None if no database can be asked for it."""
    # Not every spelling of a name is a name: composed otherwise it may be longer.
    if "\0" in key or (resource.own_fields[resource.key].kind is UUID and validation.key_faults(resource, key)):
        return None
    return resource.lookup_key_of(key)


def _create_at(tx: Transaction, target: Target, given: dict[str, Any], author: Author) -> Written:
    resource = target.resource
    rules.check_new(resource, given, author)
    target.conditions.check_absent()
    faults = [
        Fault(f"'{name}' is read-only.", "read-only", pointer=f"/{name}")
        for name in given
        if name in resource.read_only
    ]
    if resource.lookup_key_of(given.get(resource.key, target.key)) != resource.lookup_key_of(target.key):
        message = f"There is no such {resource.noun} to rename, and a new one has the path's {resource.key}."
        faults.append(Fault(message, pointer=f"/{resource.key}"))
    if faults:
        raise invalid(faults)
    values = _validated(resource, {resource.key: target.key, **given})
    if storage.taken(tx, resource, values[resource.key]) is not None:
        # It was not there a moment ago: what another write just created is replaced when this runs again.
        raise SerializationConflict(_taken(resource).detail)
    return insert(tx, resource, values, author)


def _change_to(
    tx: Transaction, stored: Stored, given: dict[str, Any], desired: dict[str, Any], author: Author
) -> Written:
    resource = stored.resource
    if given.get("version", stored.version) != stored.version:
        raise VersionConflict(current=stored.values)
    if storage.taken(tx, resource, desired[resource.key]) not in (None, stored.id):
        raise _taken(resource)
    values = _validated(resource, desired)
    fixed = {name: given[name] for name in given if name in resource.read_only or name in resource.immutable}
    check_fixed(resource, fixed, stored)
    return change(tx, stored, values, author)


def _check_key(target: Target, given: Mapping[str, Any]) -> None:
    """A key that never changes is the path's."""
    key, resource = target.resource.key, target.resource
    if key in resource.immutable and resource.lookup_key_of(given.get(key, target.key)) != resource.lookup_key_of(
        target.key
    ):
        raise invalid([Fault(f"'{key}' is not the path's.", pointer=f"/{key}")])


def _validated(resource: Resource, values: Mapping[str, Any]) -> dict[str, Any]:
    return validation.as_json(validation.read(resource.create, values))


def _writable(resource: Resource, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in resource.read_only}


def _written(tx: Transaction, resource: Resource, identity: int, key: str, *, created: bool) -> Written:
    stored = storage.read(tx, resource, identity, "id")
    assert stored is not None
    return Written(created, key, stored.version, stored.body)


def _living(resource: Resource, stored: Stored | None) -> Stored:
    if stored is None:
        raise _not_found(resource)
    if stored.deleted:
        raise Gone
    return stored


def _not_found(resource: Resource) -> NotFound:
    return NotFound(f"There is no such {resource.noun}.")


def _taken(resource: Resource) -> Conflict:
    message = f"There is a {resource.noun} with this {resource.key} already."
    return Conflict(faults=[Fault(message, "taken", f"/{resource.key}")])
