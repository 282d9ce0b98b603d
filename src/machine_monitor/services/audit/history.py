"""History: each change adds its entry in the record's own transaction."""

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
    """Who changes something, by what way, when and why; a command may do all that anyone may."""

    via: str
    user: str | None = None
    note: str | None = None
    at: str = field(default_factory=lambda: instants.format_instant(instants.now()))
    request_id: str | None = None
    role: Role = Role.ADMIN


class ChangedRecord(NamedTuple):
    """The record that an entry is about, as it is after the change."""

    resource: Resource
    id: int
    key: str
    version: int


def append_entries(
    tx: Transaction, op: str, changed: Sequence[tuple[ChangedRecord, Changes]], author: ChangeContext
) -> None:
    """Add an entry for each of the records before the transaction ends."""
    for subject, changes in changed:
        entry = HistoryEntry(
            resource=subject.resource.name,
            record_id=subject.id,
            key=subject.key,
            at=author.at,
            user=author.user,
            via=author.via,
            request_id=author.request_id,
            op=op,
            version=subject.version,
            note=author.note,
            changes=canonical_json(changes),
        )
        tx.defer(hash_chain.append, entry, last=True)


def creation_changes(values: Mapping[str, Any]) -> dict[str, list[Any]]:
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
