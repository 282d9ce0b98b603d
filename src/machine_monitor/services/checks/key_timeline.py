"""Which record of a resource had a key at a time, and what became of it.

The history of a record names the records that it refers to by the keys that they had then.
"""

from bisect import bisect_right
from collections.abc import Iterable
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from machine_monitor.query.schema import Resource

if TYPE_CHECKING:
    from machine_monitor.services.checks.replay import Entry


class KeyChange(NamedTuple):
    """A rename or a merge: from the entry `seq` on, the record's referrers refer to `record_id` and `key`."""

    seq: int
    at: str
    record_id: int | None
    key: str


class KeyTimeline:
    """The keys of all records of a resource over time, from its history. In memory: these records are few."""

    def __init__(self, resource: Resource, entries: "Iterable[Entry]") -> None:
        self._unique_key_of = resource.unique_key_of
        self._owners: dict[str, list[tuple[int, int | None]]] = {}
        self._keys: dict[int, str] = {}
        self._changes: dict[int, list[KeyChange]] = {}
        merges = []
        for entry in entries:
            before, after = entry.changes.get(resource.key, (None, None))
            if entry.op == "merge":
                if before == entry.key:
                    self._set_owner(before, entry.seq, None)
                    merges.append((entry, after))
                continue
            if before is not None and entry.op != "restore":
                self._set_owner(before, entry.seq, None)
            if after is not None:
                self._set_owner(after, entry.seq, entry.record_id)
                self._keys[entry.record_id] = str(after)
            if before is not None and after is not None:
                self._add_change(entry, KeyChange(entry.seq, entry.at, entry.record_id, str(after)))
        for owners in self._owners.values():
            owners.sort(key=itemgetter(0))
        for entry, receiver in merges:
            receiver_id = self.id_of(receiver, entry.seq)
            self._add_change(entry, KeyChange(entry.seq, entry.at, receiver_id, str(receiver)))

    def id_of(self, key: Any, seq: int) -> int | None:
        """Return the id of the record that had an equivalent key after the entry `seq`; None if no record had it."""
        owners = self._owners.get(self._unique_key_of(str(key)), [])
        position = bisect_right(owners, seq, key=itemgetter(0))
        return owners[position - 1][1] if position else None

    def key_of(self, record_id: int | None) -> str | None:
        """Return the last key of a record."""
        return None if record_id is None else self._keys.get(record_id)

    def next_change(self, record_id: int | None, seq: int) -> KeyChange | None:
        """Return the first rename or merge of a record after the entry `seq`."""
        changes = self._changes.get(record_id) if record_id is not None else None
        if not changes:
            return None
        position = bisect_right(changes, seq, key=attrgetter("seq"))
        return changes[position] if position < len(changes) else None

    def _set_owner(self, key: Any, seq: int, record_id: int | None) -> None:
        self._owners.setdefault(self._unique_key_of(str(key)), []).append((seq, record_id))

    def _add_change(self, entry: "Entry", change: KeyChange) -> None:
        self._changes.setdefault(entry.record_id, []).append(change)
