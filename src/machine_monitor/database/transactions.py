"""A unit of work: what is written together, and what of it an error takes back alone."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any, TypeVar

from machine_monitor.database import sessions
from machine_monitor.database.engines import POSTGRESQL, SQLITE, Engine, canonical_json
from machine_monitor.database.statements import Statement
from machine_monitor.database.streams import ROWS

# The key of PostgreSQL's lock that orders the writers of the history; any number that no other program takes.
TURN = 5_263_474_915_822_071
# As PostgreSQL's autovacuum has it: SQLite reads all rows for it, which takes longer than a small import itself.
GROWN = 1.1
T = TypeVar("T")


class Torn(Exception):
    """A part of a transaction failed when it had written, and no savepoint is there to go back to."""


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
        return sessions.join(self.engine, self.cursor.connection)

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

    def run(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """Run one statement; its rows, if it yields any. It sees what was added to the session before."""
        self._flush()
        self.cursor.execute(statement.sql, statement.bind(values))
        return self.cursor.fetchall() if self.cursor.description else []

    def run_many(self, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run one statement, which holds no constants, for each row of values."""
        self._flush()
        bind = itemgetter(*statement.names)
        self.cursor.executemany(statement.sql, [bind(row) for row in rows])

    def stream(self, statement: Statement) -> Iterator[Any]:
        """The rows of one statement that takes no values, fetched some at a time."""
        # A cursor of PostgreSQL's own, by its name: the driver's would fetch all.
        connection = self.cursor.connection
        with closing(connection.cursor() if self.engine is SQLITE else connection.cursor(name="stream")) as cursor:
            cursor.execute(statement.sql, statement.bind({}))
            while rows := cursor.fetchmany(ROWS):
                yield from rows

    def next_ids(self, table: str, count: int) -> list[int]:
        """So many ids for new rows of a table, never given before."""
        last = self._last_ids.get(table)
        ids = self.engine.next_ids(self.cursor, table, count) if last is None else [*range(last + 1, last + 1 + count)]
        if self.engine is SQLITE:  # whose writer is alone
            self._last_ids[table] = ids[-1]
        return ids

    def defer(self, work: "Callable[[Transaction, list[Any]], None]", item: Any) -> None:
        """Let `work` have the item, with all others deferred to it, before the transaction ends."""
        self._deferred.setdefault(work, []).append(item)

    def defer_to_end(self, work: "Callable[[Transaction, list[Any]], None]", item: Any) -> None:
        """`defer`, after all else: what others wait for is done as late as possible."""
        self._last.add(work)
        self.defer(work, item)

    def deferred(self, work: "Callable[[Transaction, list[Any]], None]") -> list[Any]:
        """What `work` is to have."""
        return self._deferred.setdefault(work, [])

    def settle(self, *works: "Callable[[Transaction, list[Any]], None]") -> None:
        """Do what was deferred, or only these works."""
        while due := [work for work in self._deferred if not works or work in works]:
            work = min(due, key=self._last.__contains__)
            work(self, self._deferred.pop(work))
        self._flush()

    def analyze(self, table: str) -> None:
        """Let the planner count all there is, if this table, whose ids only rise, grew by a tenth since it last did."""
        self.cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table}")
        if self.cursor.fetchone()[0] > GROWN * self.engine.rows_known(self.cursor, table):
            self.cursor.execute("ANALYZE")

    def take_turns(self) -> None:
        """Wait for the transactions that took their turn before, and let later ones wait: SQLite's always do."""
        if self.engine is POSTGRESQL:
            self.cursor.execute(f"SELECT pg_advisory_xact_lock({TURN})")

    def claim(self, *names: str) -> bool:
        """Whether no other transaction under way has claimed these names; on SQLite there is none."""
        if self.engine is SQLITE:
            return True
        self.cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [canonical_json(names)])
        return self.cursor.fetchone()[0]

    @property
    def is_open(self) -> bool:
        """Whether the database still has the transaction: a full disk makes SQLite take everything back by itself."""
        connection = self.cursor.connection
        return connection.in_transaction if self.engine is SQLITE else not connection.closed

    def part(self, unit: "Callable[[Transaction], T]", *, marked: bool) -> T:
        """Run a unit as a part of the transaction that an error takes back alone, with what it deferred.

        Not `marked` by a savepoint, it costs a sixth less, and raises `Torn` instead if the unit had written anything.
        """
        before, written = {work: [*items] for work, items in self._deferred.items()}, self._written
        if marked:
            self.cursor.execute("SAVEPOINT part")
        try:
            result = self.run_unit(unit)
        except BaseException as error:
            if self.is_open and marked:
                self.cursor.execute("ROLLBACK TO part")
                self.cursor.execute("RELEASE part")
            elif self.is_open and self._written != written:
                raise Torn from error
            self._deferred.clear()
            self._deferred.update(before)
            raise
        if marked:
            self.cursor.execute("RELEASE part")
        return result

    @property
    def _written(self) -> int | None:
        """How many rows SQLite's connection has ever written; PostgreSQL's driver does not tell."""
        return self.cursor.connection.total_changes if self.engine is SQLITE else None
