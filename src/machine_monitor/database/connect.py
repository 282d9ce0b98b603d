"""A database as the rest of the product sees it: `fetch` to read, `write` to change."""

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, TypeVar

from machine_monitor.database import addresses
from machine_monitor.database.addresses import Address
from machine_monitor.database.batches import Batches, Outcomes, Unit
from machine_monitor.database.engines import POSTGRESQL, SQLITE, Engine
from machine_monitor.database.sqlite import SqliteDriver
from machine_monitor.database.statements import Statement
from machine_monitor.database.streams import ROWS, Streams
from machine_monitor.errors import Conflict, DatabaseFault, QueryTimeout

logger = logging.getLogger(__name__)
# A unit that met a race (a key taken, a reference gone) sees the winner when it runs again.
ATTEMPTS = 3
# The key of PostgreSQL's lock that orders the writers of the history; any number that no other program takes.
TURN = 5_263_474_915_822_071
# As PostgreSQL's autovacuum has it: SQLite reads all rows for it, which takes longer than a small import itself.
GROWN = 1.1
T = TypeVar("T")


class Raced(Conflict):
    """Another write was in the way: the unit runs again, and this is its answer if that does not help."""


@dataclass(frozen=True)
class Transaction:
    """One unit of work: every statement in it takes effect together, or none does."""

    engine: Engine
    cursor: Any  # sqlite3's or psycopg's: what is used of them is alike
    _deferred: "dict[Callable[[Transaction, list[Any]], None], list[Any]]" = field(default_factory=dict)
    _last: "set[Callable[[Transaction, list[Any]], None]]" = field(default_factory=set)

    def run(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """Run one statement; its rows, if it yields any."""
        self.cursor.execute(statement.sql, statement.bind(values))
        return self.cursor.fetchall() if self.cursor.description else []

    def run_many(self, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run one statement, which holds no constants, for each row of values."""
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
        return self.engine.next_ids(self.cursor, table, count)

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

    def analyze(self, table: str) -> None:
        """Let the planner count all there is, if this table, whose ids only rise, grew by a tenth since it last did."""
        self.cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table}")
        if self.cursor.fetchone()[0] > GROWN * self.engine.rows_known(self.cursor, table):
            self.cursor.execute("ANALYZE")

    def take_turns(self) -> None:
        """Wait for the transactions that took their turn before, and let later ones wait: SQLite's always do."""
        if self.engine is POSTGRESQL:
            self.cursor.execute(f"SELECT pg_advisory_xact_lock({TURN})")

    def claim(self, name: str) -> bool:
        """Whether no other transaction under way has claimed this name; on SQLite there is none."""
        if self.engine is SQLITE:
            return True
        self.cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        return self.cursor.fetchone()[0]

    @property
    def is_open(self) -> bool:
        """Whether the database still has the transaction: a full disk makes SQLite take everything back by itself."""
        connection = self.cursor.connection
        return connection.in_transaction if self.engine is SQLITE else not connection.closed

    @contextmanager
    def part(self) -> "Generator[None]":
        """A part of the transaction that an error takes back alone, with what it deferred."""
        before = {work: [*items] for work, items in self._deferred.items()}
        self.cursor.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self.is_open:
                self.cursor.execute("ROLLBACK TO part")
                self.cursor.execute("RELEASE part")
            self._deferred.clear()
            self._deferred.update(before)
            raise
        self.cursor.execute("RELEASE part")


class Database:
    """One database; `open` before the first `fetch`, `close` at the end; `on_batch` hears how many share a commit."""

    def __init__(
        self, url: str | Address, query_timeout: float = 5.0, on_batch: Callable[[int], None] = lambda _: None
    ) -> None:
        self.address = url if isinstance(url, Address) else addresses.parse(url)
        self.engine = self.address.engine
        self._driver = _driver(self.address, query_timeout)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._batches = Batches(self._transact_batch, self._threads)
        self._streams = Streams()
        self._on_batch = on_batch
        self._reading = 0

    async def open(self) -> None:
        """Open the connections that read; those that write open when they are needed."""
        with self._errors():
            await self._driver.open()

    async def close(self) -> None:
        """Finish the writes under way and close every connection."""
        self._threads.shutdown()
        await self._driver.close()

    def close_writer(self) -> None:
        """What a command that only wrote has to close."""
        self._threads.shutdown()
        self._driver.close_writer()

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """The rows of one statement; raises `QueryTimeout` past the limit, `DatabaseBusy` if it can't be asked."""
        self._reading += 1
        try:
            with self._errors():
                return await self._driver.fetch(statement, values)
        finally:
            self._reading -= 1

    def stream(
        self, statement: Statement, values: Mapping[str, Any], make: Callable[[Iterable[list[Any]]], Iterable[T]]
    ) -> AsyncGenerator[T]:
        """What `make` makes, in a thread, of all rows of one statement as of one moment; a thousand come at a time.

        The time limit is that of `fetch` for each thousand, not for the whole. Who asks for it closes it.
        """
        return self._streams.flow(self._parts(statement, values, make))

    async def write(self, unit: Callable[[Transaction], T]) -> T:
        """Run a unit of work and commit it, in a thread; when it returns, what it wrote is on disk.

        The units that wait share a transaction, each with an outcome of its own.
        """
        return await self._batches.submit(unit)

    def transact(self, unit: Callable[[Transaction], T]) -> T:
        """Run a unit of work and commit it; any error takes all of it back."""
        return _insistently(self._transact_once, unit)

    def set_up(self, unit: Callable[[Transaction], T]) -> T:
        """Give an empty database its schema and run a unit in the same transaction: any error leaves it empty."""
        from machine_monitor.database.schema import (  # noqa: PLC0415 -- a running service need not carry Alembic
            migrations,
        )

        with self._errors(), migrations.set_up(self.address) as cursor:
            return unit(Transaction(self.engine, cursor))

    def analyze(self, table: str) -> None:
        """After a large import the planner thinks of what was: let it count again if the table grew by a tenth."""
        self.transact(lambda tx: tx.analyze(table))

    def snapshot(self, unit: Callable[[Transaction], T]) -> T:
        """Run a unit that only reads: it sees one moment, and holds up no write."""
        with self._errors(), self._driver.transaction(snapshot=True) as cursor:
            return unit(Transaction(self.engine, cursor))

    def load(self) -> dict[str, tuple[int, int]]:
        """How many reads, writes and streams are running, and how many wait for their turn."""
        readers = self._driver.readers
        return {
            "read": (min(self._reading, readers), max(0, self._reading - readers)),
            "write": self._batches.load,
            "stream": self._streams.load,
        }

    def file_bytes(self) -> dict[str, int]:
        """The size of the database's files; a server knows its own."""
        if self.engine is not SQLITE:
            return {}
        path = self.address.path
        files = {"database": path, "wal": path.with_name(f"{path.name}-wal")}
        return {name: file.stat().st_size for name, file in files.items() if file.exists()}

    def _parts(
        self, statement: Statement, values: Mapping[str, Any], make: Callable[[Iterable[list[Any]]], Iterable[T]]
    ) -> Generator[T]:
        with self._errors(), closing(self._driver.stream(statement, values)) as rows:
            yield from make(rows)

    def _transact_once(self, unit: Callable[[Transaction], T]) -> T:
        with self._errors(), self._driver.transaction() as cursor:
            tx = Transaction(self.engine, cursor)
            result = unit(tx)
            tx.settle()
            return result

    def _transact_batch(self, units: Sequence[Unit]) -> Outcomes:
        self._on_batch(len(units))
        if len(units) == 1:
            return [_outcome(self.transact, units[0])]
        outcomes = _insistently(self._transact_together, units)
        # Who raced may have met one who waits for the batch: they would meet again until the batch has ended.
        return [
            _outcome(self.transact, unit) if isinstance(failure, Raced) else (result, failure)
            for unit, (result, failure) in zip(units, outcomes, strict=True)
        ]

    def _transact_together(self, units: Sequence[Unit]) -> Outcomes:
        with self._errors(), self._driver.transaction() as cursor:
            tx = Transaction(self.engine, cursor)
            outcomes = []
            for unit in units:
                result, failure = _outcome(self._transact_part, tx, unit)
                if failure is not None and not tx.is_open:
                    raise failure
                outcomes.append((result, failure))
            tx.settle()
        return outcomes

    def _transact_part(self, tx: Transaction, unit: Callable[[Transaction], T]) -> T:
        with self._errors(), tx.part():
            return unit(tx)

    @contextmanager
    def _errors(self) -> Generator[None]:
        """Turn a driver's error into the problem it is."""
        try:
            yield
        except self._driver.failures as error:
            problem = self._driver.problem(error)
            if problem is None:
                raise DatabaseFault(self._driver.describe(error)).with_traceback(error.__traceback__) from None
            if type(problem) is Conflict:
                raise Raced from error
            if not isinstance(problem, QueryTimeout):
                logger.warning("the database could not be used: %s", self._driver.describe(error))
            raise problem from error


def _driver(address: Address, query_timeout: float) -> Any:
    if address.engine is SQLITE:
        return SqliteDriver(address.path, query_timeout)
    from machine_monitor.database.postgresql import (  # noqa: PLC0415 -- a service on SQLite need not carry psycopg
        PostgresqlDriver,
    )

    return PostgresqlDriver(address.conninfo, query_timeout)


def _insistently(run: Callable[..., T], *arguments: Any) -> T:
    """Run it again where another write was in the way."""
    for _ in range(ATTEMPTS - 1):
        try:
            return run(*arguments)
        except Raced:
            continue
    return run(*arguments)


def _outcome(run: Callable[..., Any], *arguments: Any) -> tuple[Any, BaseException | None]:
    try:
        return run(*arguments), None
    except Exception as error:  # noqa: BLE001 -- it is raised again where the unit came from
        return None, error
