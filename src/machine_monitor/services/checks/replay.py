"""Replay the history of a record: the state that its entries say it has, and where they contradict each other.

The rules are those of `services.records`, which writes the entries:

- A creation lists every field that is not null. A field that is younger than the entry has its default.
- A rename or a merge of a referenced record gives each record that refers to it, deleted ones too, one version and its
  time, without an entry of its own.
- An imported edit of the legacy tool is an update without changes. It is a note, and changes nothing.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from machine_monitor.query.schema import Resource
from machine_monitor.services.audit.history import values_equal
from machine_monitor.services.checks.key_timeline import KeyTimeline
from machine_monitor.services.records import storage, validation

NO_CHANGE: tuple[None, None] = (None, None)


class Entry(NamedTuple):
    """A history entry; `at` is in portable form (`Engine.to_portable_expr`)."""

    record_id: int
    seq: int
    key: str
    at: str
    op: str
    version: int
    changes: Mapping[str, list[Any]]


@dataclass(slots=True)
class RecordState:
    """The state of a record after the entry `seq`. `referenced` has the ids of the records that it refers to."""

    values: dict[str, Any]
    version: int
    created_at: str
    updated_at: str
    seq: int
    deleted_at: str | None = None
    referenced: dict[str, int | None] = field(default_factory=dict)


class Contradiction(NamedTuple):
    """An entry found another value than the entries before it had left: the row was changed in between."""

    seq: int
    name: str
    expected: Any
    found: Any


def parse_changes(text: str) -> dict[str, list[Any]]:
    """Parse the stored changes of an entry; what is not a pair of values is left out."""
    try:
        changes = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(changes, dict):
        return {}
    return {name: pair for name, pair in changes.items() if isinstance(pair, list) and len(pair) == len(NO_CHANGE)}


class Replay:
    """Replays the histories of the records of one resource; `timelines` are those of the resources it refers to."""

    def __init__(self, resource: Resource, timelines: Mapping[str, KeyTimeline]) -> None:
        self._resource = resource
        self._references = {
            name: timelines[reference.resource.name]
            for name, reference in resource.references.items()
            if not reference.is_natural
        }
        self._absent = _absent_values(resource)

    def run(self, entries: Iterable[Entry]) -> tuple[RecordState | None, list[Contradiction]]:
        """Return the final state of one record, or None if it does not exist, and the contradictions."""
        state, contradictions = None, []
        for entry in entries:
            if entry.op == "update" and not entry.changes:
                continue
            if state is None:
                state = self._create(entry)
                continue
            self._propagate(state, entry.seq)
            contradictions += self._contradictions(state, entry)
            state = self._apply(state, entry)
        if state is not None:
            self._propagate(state, None)
        return state, contradictions

    def _create(self, entry: Entry) -> RecordState:
        changes = entry.changes
        values = {name: changes[name][1] if name in changes else value for name, value in self._absent.items()}
        state = RecordState(values, entry.version, entry.at, entry.at, entry.seq)
        for name in self._references:
            self._refer(state, name, entry.seq)
        return state

    def _apply(self, state: RecordState, entry: Entry) -> RecordState | None:
        state.version, state.updated_at, state.seq = entry.version, entry.at, entry.seq
        if entry.op == "merge":
            return None if is_merged_away(self._resource, entry) else state
        if entry.op == "delete":
            state.deleted_at = entry.at
            return state if self._resource.soft_delete else None
        if entry.op == "restore":
            state.deleted_at = None
        for name, (_, after) in entry.changes.items():
            state.values[name] = after
            if name in self._references:
                self._refer(state, name, entry.seq)
        return state

    def _refer(self, state: RecordState, name: str, seq: int) -> None:
        key = state.values[name]
        state.referenced[name] = None if key is None else self._references[name].id_of(key, seq)

    def _propagate(self, state: RecordState, before: int | None) -> None:
        """Apply the renames and merges of the referenced records since the last entry."""
        while True:
            due = {}
            for name, timeline in self._references.items():
                change = timeline.next_change(state.referenced[name], state.seq)
                if change is not None and (before is None or change.seq < before):
                    due[name] = change
            if not due:
                return
            state.seq = min(change.seq for change in due.values())
            for name, change in due.items():
                if change.seq == state.seq:
                    state.values[name], state.referenced[name] = change.key, change.record_id
                    state.updated_at = change.at
                    state.version += 1

    def _contradictions(self, state: RecordState, entry: Entry) -> Iterator[Contradiction]:
        if entry.version != state.version + 1:
            yield Contradiction(entry.seq, "version", state.version, entry.version - 1)
        for name, found in self._values_before(entry):
            if not values_equal(found, state.values.get(name)):
                yield Contradiction(entry.seq, name, state.values.get(name), found)

    def _values_before(self, entry: Entry) -> Iterator[tuple[str, Any]]:
        """Yield the values that the writer of the entry found in the row."""
        key, merged = self._resource.key, entry.op == "merge"
        if entry.op in ("delete", "restore") or (merged and is_merged_away(self._resource, entry)):
            # A deletion lists all values that are not null as the former ones. A restore lists them as the new ones,
            # but changes none.
            side = 1 if entry.op == "restore" else 0
            for name, absent in self._absent.items():
                if not (merged and name == key):
                    yield name, entry.changes[name][side] if name in entry.changes else absent
        elif not merged:
            for name, (before, _) in entry.changes.items():
                if name in self._absent:
                    yield name, before


def is_merged_away(resource: Resource, entry: Entry) -> bool:
    """Whether an entry `merge` is that of the record that was deleted; the other one received its records."""
    return entry.key == entry.changes.get(resource.key, NO_CHANGE)[0]


def _absent_values(resource: Resource) -> dict[str, Any]:
    """Return for each field in the history its value if an entry does not list it: null, or the default."""
    defaults = validation.defaults(resource)
    nullable = {name for name, known in resource.own_fields.items() if known.nullable}
    defaults |= storage.with_managed_lists(resource, {}, {})
    return {name: None if name in nullable else defaults.get(name) for name in resource.recorded}
