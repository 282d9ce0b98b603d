"""A unit of work: what is written together, and what an error rolls back alone."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any, TypeVar

from machine_monitor.database import sessions
from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.database.statements import Statement
from machine_monitor.database.streams import FETCH_SIZE

# The advisory lock that orders the writers of the history: any number that no other program locks.
HISTORY_LOCK = 5_263_474_915_822_071
# ANALYZE runs when a table has grown by a tenth, as PostgreSQL's autovacuum does it. SQLite's reads all rows, which
# takes longer than a small import itself.
ANALYZE_GROWTH = 1.1
T = TypeVar("T")


class PartialWriteError(Exception):
    """A unit failed after it had written, and there is no savepoint to roll back to."""


@dataclass(frozen=True)
class Transaction:
    """One unit of work: every statement in it takes effect together, or none does."""

    engine: Engine
    cursor: Any  # sqlite3's or psycopg's: what is used of them is alike
    _deferred: "dict[Callable[[Transaction, list[Any]], None], list[Any]]" = field(default_factory=dict)
    _last: "set[Callable[[Transaction, list[Any]], None]]" = field(default_factory=set)
    _last_ids: dict[str, int] = field(default_factory=dict)

    @cached_property
    def session(self) -> sessions.UnitSession:
        """An ORM session in this transaction, a new one for each unit; for where speed is not the point."""
        return sessions.open_session(self.engine, self.cursor.connection)

    def run_unit(self, unit: "Callable[[Transaction], T]") -> T:
        """Run a unit, and write what it added to its session."""
        try:
            result = unit(self)
            self._flush()
        finally:
            if (session := self.__dict__.pop("session", None)) is not None:
                session.close()
        return result

    def _flush(self) -> None:
        # A cached property is in `__dict__` once it has been used; most units use no session.
        if "session" in self.__dict__:
            self.session.flush()

    def execute(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """Run one statement; its rows, if it yields any. It sees what was added to the session before."""
        self._flush()
        self.cursor.execute(statement.sql, statement.bind(values))
        return self.cursor.fetchall() if self.cursor.description else []

    def execute_many(self, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run one statement, which holds no constants, for each row of values."""
        self._flush()
        bind = itemgetter(*statement.names)
        self.cursor.executemany(statement.sql, [bind(row) for row in rows])

    def stream(self, statement: Statement) -> Iterator[Any]:
        """The rows of one statement that takes no values, fetched some at a time."""
        with closing(self.engine.stream_cursor(self.cursor)) as cursor:
            cursor.execute(statement.sql, statement.bind({}))
            while rows := cursor.fetchmany(FETCH_SIZE):
                yield from rows

    def next_ids(self, table: str, count: int) -> list[int]:
        """So many ids for new rows of a table, never given before."""
        last = self._last_ids.get(table)
        ids = self.engine.next_ids(self.cursor, table, count) if last is None else [*range(last + 1, last + 1 + count)]
        if self.engine.single_writer:
            self._last_ids[table] = ids[-1]
        return ids

    def defer(self, work: "Callable[[Transaction, list[Any]], None]", item: Any, *, last: bool = False) -> None:
        """Call `work` before the transaction ends, with this item and all others that were deferred to it.

        Work that is `last` runs after all other: it takes a lock that other transactions wait for.
        """
        if last:
            self._last.add(work)
        self._deferred.setdefault(work, []).append(item)

    def deferred_items(self, work: "Callable[[Transaction, list[Any]], None]") -> list[Any]:
        """The items that are deferred to `work`; the caller may change them."""
        return self._deferred.setdefault(work, [])

    def flush_deferred(self, *works: "Callable[[Transaction, list[Any]], None]") -> None:
        """Do all deferred work now, or only these works."""
        while due := [work for work in self._deferred if not works or work in works]:
            work = min(due, key=self._last.__contains__)
            work(self, self._deferred.pop(work))
        self._flush()

    def analyze(self, table: str) -> None:
        """Update the planner's statistics if this table, whose ids only rise, grew by a tenth since the last time."""
        self.cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table}")
        if self.cursor.fetchone()[0] > ANALYZE_GROWTH * self.engine.estimated_row_count(self.cursor, table):
            self.cursor.execute("ANALYZE")

    def acquire_history_lock(self) -> None:
        """Block until no other transaction is appending to the history; released at commit.

        Entry numbers follow the order of commits only because of this lock.
        """
        self.engine.acquire_advisory_lock(self.cursor, HISTORY_LOCK)

    def try_advisory_lock(self, *names: str) -> bool:
        """Take the lock of these names until the transaction ends; False if another transaction has it."""
        return self.engine.try_advisory_lock(self.cursor, canonical_json(names))

    @property
    def is_open(self) -> bool:
        """Whether the database still has the transaction: a full disk makes SQLite roll back by itself."""
        return self.engine.in_transaction(self.cursor)

    def run_nested(self, unit: "Callable[[Transaction], T]", *, savepoint: bool) -> T:
        """Run a unit as a part of the transaction that an error rolls back alone, with what it deferred.

        Without a savepoint it costs a sixth less, and raises `PartialWriteError` if the unit fails after a write.
        """
        before = {work: [*items] for work, items in self._deferred.items()}
        written = self.engine.total_changes(self.cursor)
        if savepoint:
            self.cursor.execute("SAVEPOINT unit")
        try:
            result = self.run_unit(unit)
        except BaseException as error:
            if self.is_open and savepoint:
                self.cursor.execute("ROLLBACK TO unit")
                self.cursor.execute("RELEASE unit")
            elif self.is_open and self.engine.total_changes(self.cursor) != written:
                raise PartialWriteError from error
            self._deferred.clear()
            self._deferred.update(before)
            raise
        if savepoint:
            self.cursor.execute("RELEASE unit")
        return result
