"""Compare the records with their history: each row must be what the entries of its record say.

Rows and entries are read in the order of the records' ids and merged, so memory does not grow with their number.
See docs/internals/hash-chain.md.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Column, literal_column, select

from machine_monitor.database import tables
from machine_monitor.database.engines import Engine
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import HISTORY, PENDING_ENTRIES
from machine_monitor.query.schema import ChildRows, Resource
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.checks import stored_values
from machine_monitor.services.checks.key_timeline import KeyTimeline
from machine_monitor.services.checks.replay import Contradiction, Entry, RecordState, Replay, parse_changes
from machine_monitor.services.checks.stored_values import show

Progress = Callable[[int, int], None]
PROGRESS_INTERVAL = 1_000
# The number of differences of each kind that are listed for a resource; the others are counted.
MAX_LISTED = 10
MORE = {
    "added": "{} more rows of {} are not in the history.",
    "removed": "{} more rows of {} are missing.",
    "changed": "{} more values of {} differ from their history.",
    "overwritten": "{} more entries of {} replaced a value that their history does not have.",
}


def find_faults(tx: Transaction, resources: Sequence[Resource], progress: Progress | None = None) -> list[str]:
    """Compare all records with their history; return a sentence for each difference, up to MAX_LISTED of a kind."""
    referenced = [each for each in resources if any(not referrer.reference.is_natural for referrer in each.referrers)]
    timelines = {resource.name: KeyTimeline(resource, _entries(tx, resource)) for resource in referenced}
    total, done, sentences = tables.count(tx, HISTORY.table.name), 0, []
    for resource in resources:
        comparison = _Comparison(tx, resource, timelines)
        for read in comparison.run():
            done += read
            if progress is not None:
                progress(done, total)
        sentences += comparison.findings.all_sentences()
    return sentences


@dataclass
class _Findings:
    """The differences of one resource by kind: the first ones as sentences, the others as a number."""

    resource: Resource
    sentences: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, sentence: str) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= MAX_LISTED:
            self.sentences.append(sentence)

    def all_sentences(self) -> list[str]:
        unlisted = {kind: count - MAX_LISTED for kind, count in self.counts.items() if count > MAX_LISTED}
        return self.sentences + [MORE[kind].format(count, self.resource.name) for kind, count in unlisted.items()]


class _Comparison:
    """The comparison of the records of one resource with their history."""

    def __init__(self, tx: Transaction, resource: Resource, timelines: Mapping[str, KeyTimeline]) -> None:
        self.findings = _Findings(resource)
        self._resource = resource
        self._replay = Replay(resource, timelines)
        self._values = stored_values.stored_values(resource, timelines)
        self._key = [each.name for each in self._values].index(resource.key)
        self._histories = groupby(_entries(tx, resource), key=lambda entry: entry.record_id)
        self._rows = tx.stream(_rows_statement(tx.engine, tuple(each.column for each in self._values)))
        self._lists = {name: _ChildRowReader(tx, rows) for name, rows in resource.child_lists.items()}

    def run(self) -> Iterator[int]:
        """Compare record by record; yield the number of entries that were read since the last time."""
        row, read = next(self._rows, None), 0
        for identity, group in self._histories:
            while row is not None and row[0] < identity:
                self._add_unknown(row)
                row = next(self._rows, None)
            entries = [*group]
            if row is not None and row[0] == identity:
                self._compare(entries, row)
                row = next(self._rows, None)
            else:
                self._compare(entries, None)
            read += len(entries)
            if read >= PROGRESS_INTERVAL:
                yield read
                read = 0
        while row is not None:
            self._add_unknown(row)
            row = next(self._rows, None)
        yield read

    def _add_unknown(self, row: Sequence[Any]) -> None:
        self.findings.add("added", f"{self._label(row[self._key], row[0])} has a row, but no history.")

    def _compare(self, entries: Sequence[Entry], row: Sequence[Any] | None) -> None:
        state, contradictions = self._replay.run(entries)
        last = entries[-1]
        label = self._label(last.key, last.record_id)
        for contradiction in contradictions:
            self.findings.add("overwritten", f"{label}: {_describe(contradiction)}")
        if state is None and row is not None:
            self.findings.add("added", f"{label} was deleted by {_name(last.seq)}, but it has a row.")
        elif state is not None and row is None:
            self.findings.add("removed", f"{label} has a history, but its row is missing.")
        elif state is not None and row is not None:
            self._compare_values(label, state, row)

    def _compare_values(self, label: str, state: RecordState, row: Sequence[Any]) -> None:
        for value, actual in zip(self._values[1:], row[1:], strict=True):
            expected = value.expected(state)
            if expected is not actual and not value.equals(expected, actual):
                self._add_changed(label, value.name, value.show(expected), value.show(actual))
        for name, rows in self._lists.items():
            expected, actual = rows.expected(state.values[name]), rows.take(row[0])
            if expected != actual:
                self._add_changed(label, name, expected, actual)

    def _add_changed(self, label: str, name: str, expected: Any, actual: Any) -> None:
        sentence = f"{label}: the history says `{name}` is {show(expected)}, the row says {show(actual)}."
        self.findings.add("changed", sentence)

    def _label(self, key: Any, identity: int) -> str:
        return f"The {self._resource.noun} {show(key)} (record {identity})"


def _name(seq: int) -> str:
    return f"entry {seq} of the history" if seq < hash_chain.FIRST_PENDING else "a pending entry of the history"


def _describe(contradiction: Contradiction) -> str:
    return (
        f"{_name(contradiction.seq)} replaced `{contradiction.name}` {show(contradiction.found)}, but "
        f"the history before it says {show(contradiction.expected)}."
    )


class _ChildRowReader:
    """Reads the child rows of one list, record by record in the order of ids."""

    def __init__(self, tx: Transaction, rows: ChildRows) -> None:
        self._kinds = stored_values.child_row_kinds(rows)
        columns = [rows.table.c[name] for name in (rows.on, rows.position, *self._kinds)]
        self._groups = groupby(tx.stream(_rows_statement(tx.engine, tuple(columns))), key=lambda row: row[0])
        self._next = next(self._groups, None)

    def expected(self, items: Sequence[Mapping[str, Any]] | None) -> list[list[Any]]:
        """Return the rows of a list in the history: position, then the fields in portable form."""
        return [
            [position, *(stored_values.to_portable(item.get(name), kind) for name, kind in self._kinds.items())]
            for position, item in enumerate(items or ())
        ]

    def take(self, identity: int) -> list[list[Any]]:
        """Return the rows of a record; those of records with lower ids are passed over."""
        while self._next is not None and self._next[0] < identity:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] > identity:
            return []
        return [[*row[1:]] for row in self._next[1]]


def _entries(tx: Transaction, resource: Resource) -> Iterator[Entry]:
    """Yield the history of all records of a resource, record by record in the order of ids."""
    sealed = tx.stream(_entries_statement(tx.engine, resource))
    pending = tx.execute(_pending_statement(tx.engine, resource), {})
    for *content, changes in heapq.merge(sealed, pending, key=itemgetter(0, 1)):
        yield Entry(*content, parse_changes(changes))


@cache
def _entries_statement(engine: Engine, resource: Resource) -> Statement:
    table = HISTORY.table
    columns = [engine.to_portable_expr(table.c[name]) for name in Entry._fields]
    query = select(*columns).where(table.c.resource == literal_column(f"'{resource.name}'"))
    # By the index of record histories.
    return compile_statement(engine, query.order_by(table.c.resource, table.c.record_id, table.c.seq))


@cache
def _pending_statement(engine: Engine, resource: Resource) -> Statement:
    """Compile: the entries that are pending, whose numbers are higher than all others."""
    table = PENDING_ENTRIES
    columns = [engine.to_portable_expr(table.c[name]) for name in Entry._fields if name not in ("record_id", "seq")]
    seq = table.c.id + literal_column(str(hash_chain.FIRST_PENDING))
    query = select(table.c.record_id, seq, *columns).where(table.c.resource == literal_column(f"'{resource.name}'"))
    return compile_statement(engine, query.order_by(table.c.record_id, table.c.id))


@cache
def _rows_statement(engine: Engine, columns: tuple[Column, ...]) -> Statement:
    """Select all rows of a table in portable form, in the order of its primary key."""
    (table,) = {column.table for column in columns}
    query = select(*map(engine.to_portable_expr, columns)).order_by(*table.primary_key.columns)
    return compile_statement(engine, query)
