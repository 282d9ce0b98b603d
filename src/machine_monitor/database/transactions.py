"""Transactions, which run units of work: with deferred work, savepoints and an optional ORM session."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from operator import itemgetter
from typing import Any, TypeVar

from machine_monitor.database import sessions
from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.database.statements import Statement
from machine_monitor.database.streams import FETCH_SIZE
from machine_monitor.errors import StorageFull

# The advisory lock that serializes appends to the history: an arbitrary number that no other program should use.
HISTORY_LOCK = 5_263_474_915_822_071
# The advisory lock of the monthly sums of reliability: writers that delete sums share it.
SUMS_LOCK = 5_263_474_915_822_073
# The advisory lock that keeps files that a row is about to name from being pruned.
FILES_LOCK = 5_263_474_915_822_072
# Run ANALYZE after 10 % growth, like PostgreSQL's autovacuum. On SQLite it scans the whole table, which would take
# longer than a small import.
ANALYZE_GROWTH = 1.1
NO_IDS_LEFT = (
    "An SQLite file has room for {:,} logs, deleted ones included, and this one is full; nothing was written. Reading "
    "still works. An administrator can copy it to PostgreSQL with `mm copy`."
)
T = TypeVar("T")


class PartialWriteError(Exception):
    """A unit failed after it had written something, and there is no savepoint to roll back to."""


@dataclass
class Lookup:
    """A query for one row, which `execute_later` has been given."""

    rows: Callable[[], list[Any]]

    @cached_property
    def row(self) -> Any:
        """The row, or None."""
        return next(iter(self.rows()), None)


@dataclass(frozen=True)
class Transaction:
    """A database transaction. Units of work run in it; their statements commit together or not at all."""

    engine: Engine
    cursor: Any  # a DB-API cursor of sqlite3 or psycopg
    # How many units share the transaction.
    units: int = 1
    # Whether this transaction may leave history entries pending: see `services/audit/hash_chain`.
    may_leave_pending: bool = False
    # Those that it has left.
    left_pending: list[Any] = field(default_factory=list)
    # What its units look up and lock; `services/records/storage` clears it when it changes such a record.
    lookups: dict[Any, Lookup] = field(default_factory=dict)
    _deferred: "dict[Callable[[Transaction, list[Any]], None], list[Any]]" = field(default_factory=dict)
    _run_last: "set[Callable[[Transaction, list[Any]], None]]" = field(default_factory=set)
    _last_ids: dict[str, int] = field(default_factory=dict)
    _free_ids: dict[str, list[int]] = field(default_factory=dict)

    @property
    def session(self) -> sessions.UnitSession:
        """An ORM session in this transaction, a new one for each unit; for code where speed does not matter."""
        # The statements of the session do not pass through the cursor, where earlier ones may wait.
        self.engine.send_waiting(self.cursor)
        return self._session

    @cached_property
    def _session(self) -> sessions.UnitSession:
        return sessions.open_session(self.engine, self.cursor.connection)

    def run_unit(self, unit: "Callable[[Transaction], T]") -> T:
        """Run a unit of work and flush its session."""
        try:
            result = unit(self)
            self._flush()
        finally:
            if (session := self.__dict__.pop("_session", None)) is not None:
                session.close()
        return result

    def _flush(self) -> None:
        # The cached property is in `__dict__` once it has been used; most units use no session.
        if "_session" in self.__dict__:
            self.session.flush()

    def execute(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """Run one statement and return its rows, if any. Flushes the session first."""
        self._flush()
        self.cursor.execute(statement.sql, statement.bind(values))
        return self.cursor.fetchall() if self.cursor.description else []

    def execute_later(self, statement: Statement, values: Mapping[str, Any]) -> Callable[[], list[Any]]:
        """Run a statement, on PostgreSQL in one round trip with later ones; return a function that returns its rows.

        Call the function at most once. Statements run in the order of the calls; the next one that returns rows raises
        an error of this one.
        """
        self._flush()
        return self.engine.execute_later(self.cursor, statement.sql, statement.bind(values))

    def execute_many(self, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run one statement once per row of values (executemany), later in the sense of `execute_later`.

        It must have no constant binds.
        """
        self._flush()
        # Of a single name, `itemgetter` would give the value itself.
        bind = itemgetter(*statement.names) if len(statement.names) > 1 else partial(_values, statement.names)
        self.cursor.executemany(statement.sql, [bind(row) for row in rows])

    def stream(self, statement: Statement) -> Iterator[Any]:
        """Yield the rows of one statement without binds, fetched in chunks."""
        with closing(self.engine.stream_cursor(self.cursor)) as cursor:
            cursor.execute(statement.sql, statement.bind({}))
            while rows := cursor.fetchmany(FETCH_SIZE):
                yield from rows

    def next_ids(self, table: str, count: int) -> Callable[[], list[int]]:
        """Allocate `count` ids for new rows of a table, later in the sense of `execute_later`.

        An id is never used twice.
        """
        if not self.engine.single_writer:
            return self._take_ids(table, count)

        def allocate() -> list[int]:
            if (last := self._last_ids.get(table)) is None:
                ids = self.engine.next_ids(self.cursor, table, count)()
            else:
                ids = [*range(last + 1, last + 1 + count)]
            if self.engine.max_id is not None and ids[-1] > self.engine.max_id:
                raise StorageFull(NO_IDS_LEFT.format(self.engine.max_id))
            self._last_ids[table] = ids[-1]
            return ids

        return allocate

    def _take_ids(self, table: str, count: int) -> Callable[[], list[int]]:
        """Take ids of a sequence: at once as many as there are units, so that each need not wait for its own."""
        free = self._free_ids.setdefault(table, [])
        if len(free) >= count:
            taken = free[:count]
            del free[:count]
            return lambda: taken
        rows = self.engine.next_ids(self.cursor, table, max(count, self.units))

        def allocate() -> list[int]:
            ids = rows()
            free.extend(ids[count:])
            return ids[:count]

        return allocate

    def defer(self, work: "Callable[[Transaction, list[Any]], None]", item: Any, *, last: bool = False) -> None:
        """Call `work` once before the commit, with a list of all items that were deferred to it.

        Work with `last` runs after all other work: it takes a lock that blocks other transactions.
        """
        if last:
            self._run_last.add(work)
        self._deferred.setdefault(work, []).append(item)

    def deferred_items(self, work: "Callable[[Transaction, list[Any]], None]") -> list[Any]:
        """Return the items that are deferred to `work`; the caller may change the list."""
        return self._deferred.setdefault(work, [])

    def flush_deferred(self, *works: "Callable[[Transaction, list[Any]], None]") -> None:
        """Run all deferred work now, or only the given callables."""
        while due := [work for work in self._deferred if not works or work in works]:
            # False sorts before True: work marked `last` runs after all other work.
            work = min(due, key=self._run_last.__contains__)
            work(self, self._deferred.pop(work))
        self._flush()

    def analyze(self, table: str) -> None:
        """Run ANALYZE if the table grew by 10 % since the last run, judged by its highest id."""
        self.cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table}")
        if self.cursor.fetchone()[0] > ANALYZE_GROWTH * self.engine.estimated_row_count(self.cursor, table):
            self.cursor.execute("ANALYZE")

    def history_lock(self, *, wait: bool) -> Callable[[], bool]:
        """Take the lock of those that append to the history until the commit, later in the sense of `execute_later`.

        The returned function returns False if another transaction holds the lock, and this one does not `wait` for it.
        Entry numbers follow the commit order only because of this lock. SQLite needs none: it has a single writer.
        """
        return self.engine.take_history_lock(self.cursor, HISTORY_LOCK, wait=wait)

    def acquire_sums_lock(self, *, shared: bool = False) -> None:
        """Block until no other transaction changes the monthly sums, or only shares the lock; released at commit."""
        self.engine.acquire_advisory_lock(self.cursor, SUMS_LOCK, shared=shared)

    def acquire_files_lock(self, *, shared: bool = False) -> None:
        """Block until no other transaction removes files or, if not `shared`, names them; released at commit."""
        self.engine.acquire_advisory_lock(self.cursor, FILES_LOCK, shared=shared)
        # At once: the caller now looks at files, which takes no statement that would send the lock.
        self.engine.send_waiting(self.cursor)

    def try_advisory_lock(self, *names: str) -> Callable[[], bool]:
        """Take the advisory lock of these names until the transaction ends, later in the sense of `execute_later`.

        The returned function returns False if another transaction holds the lock.
        """
        return self.engine.try_advisory_lock(self.cursor, canonical_json(names))

    @property
    def is_open(self) -> bool:
        """Whether the transaction is still open: SQLite rolls back by itself if the disk is full."""
        return self.engine.in_transaction(self.cursor)

    def run_nested(self, unit: "Callable[[Transaction], T]", *, savepoint: bool) -> T:
        """Run a unit so that its failure affects no other unit of the transaction; its deferred work is dropped too.

        Without a savepoint this is a sixth cheaper, but raises `PartialWriteError` if the unit fails after writing.
        """
        before = {work: [*items] for work, items in self._deferred.items()}
        written = self.engine.total_changes(self.cursor)
        try:
            with self.engine.savepoint(self.cursor) if savepoint else nullcontext():
                return self.run_unit(unit)
        except BaseException as error:
            if not savepoint and self.is_open and self.engine.total_changes(self.cursor) != written:
                raise PartialWriteError from error
            self._deferred.clear()
            self._deferred.update(before)
            if savepoint:
                # A savepoint that is rolled back gives up the locks of its unit.
                self.lookups.clear()
            raise


def _values(names: Sequence[str], row: Mapping[str, Any]) -> tuple:
    return tuple(row[name] for name in names)
