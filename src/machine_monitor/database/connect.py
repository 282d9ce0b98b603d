"""A database as the rest of the product sees it: `fetch` to read, `write` to change."""

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from machine_monitor.database import addresses
from machine_monitor.database.addresses import Address
from machine_monitor.database.engines import SQLITE, Engine
from machine_monitor.database.postgresql import PostgresqlDriver
from machine_monitor.database.sqlite import SqliteDriver
from machine_monitor.database.statements import Statement
from machine_monitor.errors import Conflict

# A unit that met a race (a key taken, a reference gone) sees the winner when it runs again.
ATTEMPTS = 3
T = TypeVar("T")


class Raced(Conflict):
    """Another write was in the way: the unit runs again, and this is its answer if that does not help."""


@dataclass(frozen=True)
class Transaction:
    """One unit of work: every statement in it takes effect together, or none does."""

    engine: Engine
    cursor: Any  # sqlite3's or psycopg's: what is used of them is alike
    _deferred: "dict[Callable[[Transaction, list[Any]], None], list[Any]]" = field(default_factory=dict)

    def run(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """Run one statement; its rows, if it yields any."""
        self.cursor.execute(statement.sql, statement.bind(values))
        return self.cursor.fetchall() if self.cursor.description else []

    def run_many(self, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run one statement for each row of values."""
        self.cursor.executemany(statement.sql, [statement.bind(row) for row in rows])

    def defer(self, work: "Callable[[Transaction, list[Any]], None]", item: Any) -> None:
        """Let `work` have the item, with all others deferred to it, before the transaction ends."""
        self._deferred.setdefault(work, []).append(item)

    def settle(self) -> None:
        """Do what was deferred."""
        while self._deferred:
            work, items = next(iter(self._deferred.items()))
            del self._deferred[work]
            work(self, items)


class Database:
    """One database; `open` before the first `fetch`, `close` at the end."""

    def __init__(self, url: str, query_timeout: float = 5.0) -> None:
        self.address: Address = addresses.parse(url)
        self.engine = self.address.engine
        self._driver = (
            SqliteDriver(self.address.path, query_timeout)
            if self.engine is SQLITE
            else PostgresqlDriver(self.address.conninfo, query_timeout)
        )
        self._threads = ThreadPoolExecutor(self._driver.writers, thread_name_prefix="write")

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
        with self._errors():
            return await self._driver.fetch(statement, values)

    async def write(self, unit: Callable[[Transaction], T]) -> T:
        """`transact` in a thread of its own; when it returns, what it wrote is on disk."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.transact, unit)

    def transact(self, unit: Callable[[Transaction], T]) -> T:
        """Run a unit of work and commit it; any error takes all of it back."""
        for _ in range(ATTEMPTS - 1):
            try:
                return self._transact_once(unit)
            except Raced:
                continue
        return self._transact_once(unit)

    def snapshot(self, unit: Callable[[Transaction], T]) -> T:
        """Run a unit that only reads: it sees one moment, and holds up no write."""
        with self._errors(), self._driver.transaction(snapshot=True) as cursor:
            return unit(Transaction(self.engine, cursor))

    def _transact_once(self, unit: Callable[[Transaction], T]) -> T:
        with self._errors(), self._driver.transaction() as cursor:
            tx = Transaction(self.engine, cursor)
            result = unit(tx)
            tx.settle()
            return result

    @contextmanager
    def _errors(self) -> Generator[None]:
        """Turn a driver's error into the problem it is."""
        try:
            yield
        except self._driver.failures as error:
            problem = self._driver.problem(error)
            if problem is None:
                raise
            if type(problem) is Conflict:
                raise Raced from error
            raise problem from error
