"""Record history (the audit log): each change appends an entry in the record's own transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from machine_monitor.database import instants
from machine_monitor.database.engines import canonical_json
from machine_monitor.database.transactions import Transaction
from machine_monitor.query.schema import Resource
from machine_monitor.services.access.permissions import Role
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.audit.hash_chain import HistoryEntry

Changes = Mapping[str, list[Any]]


@dataclass(frozen=True)
class ChangeContext:
    """The context of a change: channel (`via`), user, note, time, request id and role. Commands have the admin role."""

    via: str
    user: str | None = None
    note: str | None = None
    at: str = field(default_factory=lambda: instants.format_instant(instants.now()))
    request_id: str | None = None
    role: Role = Role.ADMIN


class EntryTarget(NamedTuple):
    """What a history entry is about."""

    resource: str
    record_id: int
    key: str
    version: int


class ChangedRecord(NamedTuple):
    """The identity and the new version of a changed record."""

    resource: Resource
    id: int
    key: str
    version: int


def append_entries(
    tx: Transaction, op: str, changed: Sequence[tuple[ChangedRecord, Changes]], context: ChangeContext
) -> None:
    """Append a history entry for each changed record at the end of the transaction."""
    for record, changes in changed:
        target = EntryTarget(record.resource.name, record.id, record.key, record.version)
        append_entry(tx, op, target, changes, context)


def append_entry(tx: Transaction, op: str, target: EntryTarget, changes: Changes, context: ChangeContext) -> None:
    """Append one history entry at the end of the transaction."""
    entry = HistoryEntry(
        **target._asdict(),
        at=context.at,
        user=context.user,
        via=context.via,
        request_id=context.request_id,
        op=op,
        note=context.note,
        changes=canonical_json(changes),
    )
    tx.defer(hash_chain.append, entry, last=True)


def creation_changes(values: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the changes of a new record: each non-null field from null to its value."""
    return {name: [None, value] for name, value in values.items() if value is not None}


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the fields that differ, each with its value before and after; null if absent."""
    names = dict.fromkeys([*before, *after])
    pairs = {name: [before.get(name), after.get(name)] for name in names}
    return {name: pair for name, pair in pairs.items() if not values_equal(*pair)}


def values_equal(one: object, other: object) -> bool:
    """Compare as JSON values: `true` differs from 1, member order is ignored."""
    if one is None or other is None:
        return one is other
    if type(one) is type(other) and not isinstance(one, dict):
        return one == other
    return canonical_json(_sort_members(one)) == canonical_json(_sort_members(other))


def _sort_members(value: object) -> object:
    return dict(sorted(value.items())) if isinstance(value, dict) else value
