"""The `Database` facade: `fetch` runs a query, `write` runs a unit of work, `stream` reads large results."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from sqlalchemy.exc import DBAPIError

from machine_monitor.database import database_urls, schema
from machine_monitor.database.batches import BatchWriter, Results, UnitOfWork, UnitWithLookups
from machine_monitor.database.database_urls import DatabaseUrl
from machine_monitor.database.engines.engine import ConnectionLost
from machine_monitor.database.read_point import END, ReadPoint
from machine_monitor.database.statements import Prefetch, Statement, StatementCache
from machine_monitor.database.streams import StreamPool
from machine_monitor.database.transactions import PartialWriteError, Transaction
from machine_monitor.errors import Conflict, DatabaseBusy, DatabaseFault, QueryTimeout
from machine_monitor.fairness import SYSTEM, FairSemaphore, FairThread
from machine_monitor.lasting_condition import LastingCondition

logger = logging.getLogger(__name__)
# On its next attempt a conflicting unit (a key is taken, a reference is gone) sees what the other writer committed.
MAX_ATTEMPTS = 3
# How long a query waits for a reader connection.
WAIT_SECONDS = 5.0
P = ParamSpec("P")
T = TypeVar("T")


class SerializationConflict(Conflict):
    """A concurrent write made this unit fail. The unit is retried; after MAX_ATTEMPTS this is its error."""


class Database:
    """One database. Call `open` before the first `fetch`, and `close` at the end.

    `on_batch` is called with the number of units of work that share a commit. Users share the reader connections, the
    streams, the write queue and the thread of `compute`: `for_user` returns the database as one of them uses it.

    With `read_url`, a standby answers the queries of `reading_from`; `on_read` is called with whether it has.
    """

    def __init__(
        self,
        url: str | DatabaseUrl,
        query_timeout: float = 5.0,
        on_batch: Callable[[int], None] = lambda _: None,
        read_url: str = "",
        on_read: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.url = url if isinstance(url, DatabaseUrl) else database_urls.parse(url)
        self.engine = self.url.engine
        standby = database_urls.parse_read_url(read_url, self.url)
        self._driver = self.engine.create_driver(
            self.url.sqlalchemy_url, query_timeout, standby.sqlalchemy_url if standby else None
        )
        self._other_schema = LastingCondition(logger, "The database has the schema of this version again.")
        self._error_translator = _ErrorTranslator(self._driver)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._batches = BatchWriter(self._transact_batch, self._threads)
        self._streams = StreamPool()
        self._on_batch = on_batch
        self._on_read = on_read
        self._readers = FairSemaphore(self._driver.readers)
        self._computing = FairThread()
        self._on_pending: Callable[[], object] | None = None
        self._user = SYSTEM
        self._read_point: ReadPoint | None = None
        self._prefetch: Prefetch | None = None

    def allow_pending_entries(self, on_pending: Callable[[], object] | None) -> None:
        """Let transactions leave history entries pending (see `hash_chain`), or not any more if `on_pending` is None.

        `on_pending` is called in a thread after the commit of each transaction that did. On SQLite, none does.
        """
        self._on_pending = None if self.engine.single_writer else on_pending

    def hold_service_lock(self) -> None:
        """Keep commands from putting another database in place of this one, until it is closed."""
        self._driver.hold_service_lock()

    async def open(self) -> None:
        """Open the reader connections; the writer connection opens with the first write."""
        with self._error_translator:
            await self._driver.open()

    async def close(self) -> None:
        """Finish the running writes and close every connection."""
        self._threads.shutdown()
        await self._driver.close()

    async def check(self) -> None:
        """Raise `DatabaseBusy` if the database file was moved, deleted or replaced; a server has none."""
        with self._error_translator:
            await self._driver.check()

    @property
    def read_only(self) -> str:
        """Why the database can only be read, as a sentence; empty if it can be written, or if that is not known."""
        return self._driver.read_only

    def close_writer(self) -> None:
        """Close the writer connection; for commands that never opened the readers."""
        self._threads.shutdown()
        self._driver.close_writer()

    def for_user(self, user: str) -> Self:
        """Return this database with the same connections, on which `user` waits in turn with the other users."""
        return self._sharing(_user=user)

    def note_request(self, user: str) -> None:
        """Note that an authenticated user has sent a request: other users are not alone now."""
        self._computing.note_request(user)

    def reading_from(self, point: ReadPoint) -> Self:
        """Return this database with the same connections, whose queries a standby may answer."""
        return self._sharing(_read_point=point) if self.has_standby else self

    def with_prefetched(self, prefetch: Prefetch | None) -> Self:
        """Return this database with the same connections, which takes the rows of a query that has run already."""
        return self._sharing(_prefetch=prefetch)

    @property
    def can_prefetch(self) -> bool:
        """Whether `fetch_and_prefetch` can save a round trip: lists are read from the server that authenticates."""
        return self._driver.can_prefetch and not self.has_standby

    @property
    def position(self) -> str:
        """A position of the write-ahead log after all commits so far, for `ReadPoint`; empty without a standby."""
        return self._driver.position

    async def find_position(self) -> str:
        """Return a position that has all that was read until now, for `ReadPoint`; empty without a standby."""
        if not self.has_standby:
            return ""
        ((position,),) = await self.fetch(self._driver.position_statement, {})
        return position

    @property
    def has_standby(self) -> bool:
        """Whether a standby may answer queries."""
        return self._driver.standby is not None

    @property
    def standby_seconds_behind(self) -> float | None:
        """How far the standby was behind the primary at its last answer; None if there is none, or it is not known."""
        return self._driver.standby and self._driver.standby.seconds_behind

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """Return the rows of one query; raises `QueryTimeout`, or `DatabaseBusy` if no reader becomes free.

        If the first column is the JSON of a record, the result may end after MAX_PAGE_BYTES: see `lists.fit_page`.
        """
        with self._error_translator:
            rows = None if self._prefetch is None else self._prefetch.take(statement, values)
            if rows is None:
                rows = await self._fetch_from_standby(statement, values)
            if rows is None:
                rows = await self._driver.fetch_inline(statement, values)
            if rows is None:
                async with self._readers.slot(self._user, WAIT_SECONDS):
                    rows = await self._driver.fetch(statement, values)
            return rows

    async def fetch_and_prefetch(
        self, statement: Statement, values: Mapping[str, Any], prefetch: Prefetch
    ) -> list[Any] | None:
        """Return the rows of a query that announces the state of the history, and run the prefetched one after it.

        None if no reader is free for the user now, or the connection was lost: the query has to be asked alone.
        """
        if not self._readers.acquire_at_once(prefetch.user):
            return None
        try:
            with self._error_translator:
                return await self._driver.fetch_and_prefetch(statement, values, prefetch)
        except ConnectionLost:
            return None
        finally:
            self._readers.release(prefetch.user)

    async def _fetch_from_standby(self, statement: Statement, values: Mapping[str, Any]) -> list[Any] | None:
        if self._read_point is None:
            return None
        rows = await self._driver.standby.fetch(self._user, statement, values, self._read_point)
        self._on_read(rows is not None)
        if rows is None:
            # What else the request reads comes from the primary too, so that it fits together.
            self._read_point.position = END
        return rows

    async def compute(self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Run a function that computes for milliseconds in a thread, where it does not stall the event loop.

        Only one such function runs at a time; the users take turns (see `FairThread`).
        """
        return await self._computing.run(self._user, WAIT_SECONDS, partial(function, *arguments, **options))

    async def get_statement(self, statements: StatementCache, *key: Hashable) -> Statement:
        """Return a statement; a new one is compiled in a thread, since that takes up to 30 ms."""
        return statements.find(*key) or await self.compute(statements, *key)

    def stream(
        self, statement: Statement, values: Mapping[str, Any], transform: Callable[[Iterable[list[Any]]], Iterable[T]]
    ) -> AsyncGenerator[T]:
        """Stream all rows of one query from a consistent snapshot, in chunks that `transform` converts in a thread.

        The query timeout applies to each chunk of FETCH_SIZE rows. The caller must close the generator.
        """
        return self._streams.iterate(self._user, self._chunks(statement, values, transform))

    async def write(
        self,
        unit: Callable[[Transaction], T],
        records: int = 1,
        look_up: Callable[[Transaction], object] | None = None,
    ) -> T:
        """Run a unit of work on the writer thread; on return it is durable. `records` is how many it writes.

        Waiting units share one transaction (group commit), but each has its own result or error. `look_up` may be
        called before: what it does with `execute_later`, all units do in one round trip.
        """
        return await self._batches.submit(UnitWithLookups(unit, look_up) if look_up else unit, self._user, records)

    def transact(self, unit: Callable[[Transaction], T]) -> T:
        """Run a unit of work in its own transaction, in this thread; any error rolls it back."""
        return _with_retries(self._transact_once, unit)

    def create_schema(self, unit: Callable[[Transaction], T]) -> T:
        """Create the schema in an empty database and run a unit in the same transaction; any error leaves it empty."""
        from machine_monitor.database.schema import (  # noqa: PLC0415 -- a service must not import Alembic
            migrations,
        )

        with self._error_translator, migrations.create_schema(self.url) as cursor:
            return Transaction(self.engine, cursor).run_unit(unit)

    def analyze(self, table: str) -> None:
        """Update the query planner's statistics after an import if this table grew by 10 %."""
        self.transact(lambda tx: tx.analyze(table))

    def snapshot(self, unit: Callable[[Transaction], T]) -> T:
        """Run a read-only unit on a consistent snapshot. It does not block writers."""
        with self._error_translator, self._driver.transaction(snapshot=True) as cursor:
            return Transaction(self.engine, cursor).run_unit(unit)

    async def read(self, unit: Callable[[Transaction], T]) -> T:
        """Run `snapshot` in a thread, in turn with the other users."""
        async with self._readers.slot(self._user, WAIT_SECONDS):
            return await asyncio.to_thread(lambda: self.snapshot(unit))

    def utilization(self) -> dict[str, tuple[int, int]]:
        """Return for reads, writes and streams how many are running and how many are waiting."""
        return {
            "read": self._readers.utilization,
            "write": self._batches.pending,
            "stream": self._streams.utilization,
        }

    def file_bytes(self) -> dict[str, int]:
        """Return the size of each database file in bytes; empty for a server."""
        return self._driver.file_bytes()

    def _chunks(
        self, statement: Statement, values: Mapping[str, Any], transform: Callable[[Iterable[list[Any]]], Iterable[T]]
    ) -> Generator[T]:
        with self._error_translator:
            rows = self._stream_from_standby(statement, values) or self._driver.stream(statement, values)
            with closing(rows):
                yield from transform(rows)

    def _stream_from_standby(self, statement: Statement, values: Mapping[str, Any]) -> Generator[list[Any]] | None:
        if self._read_point is None:
            return None
        rows = self._driver.standby.stream(statement, values, self._read_point)
        self._on_read(rows is not None)
        return rows

    def _sharing(self, **changed: Any) -> Self:
        shared = object.__new__(type(self))
        shared.__dict__.update(self.__dict__, **changed)
        return shared

    def _transact_once(self, unit: Callable[[Transaction], T]) -> T:
        with self._error_translator, self._write_transaction() as tx:
            result = tx.run_unit(unit)
            tx.flush_deferred()
            return result

    @contextmanager
    def _write_transaction(self, units: int = 1) -> Generator[Transaction]:
        """Open a transaction, and check that no other version of the program has migrated the database."""
        on_pending = self._on_pending
        with self._driver.transaction() as cursor:
            if not schema.is_head(cursor.fetchall()):
                self._other_schema.report(schema.OTHER_SCHEMA)
                raise DatabaseBusy(schema.OTHER_SCHEMA)
            self._other_schema.end()
            tx = Transaction(self.engine, cursor, units, may_leave_pending=on_pending is not None)
            yield tx
        if tx.left_pending and on_pending is not None:
            on_pending()

    def _transact_batch(self, units: Sequence[UnitOfWork]) -> Results:
        self._on_batch(len(units))
        if len(units) == 1:
            return [_result_of(self.transact, units[0])]
        try:
            results = self._transact_together(units, savepoints=False)
        except (PartialWriteError, ConnectionLost, SerializationConflict):
            # Nothing is committed. With savepoints, an error belongs to its unit; without, a statement may be sent
            # after its unit has ended.
            results = _with_retries(self._transact_together, units, savepoints=True)
        # Conflicting units run one by one: the writer they conflict with may itself be waiting for this batch.
        return [
            _result_of(self.transact, unit) if isinstance(error, SerializationConflict) else (result, error)
            for unit, (result, error) in zip(units, results, strict=True)
        ]

    def _transact_together(self, units: Sequence[UnitOfWork], *, savepoints: bool) -> Results:
        with self._error_translator, self._write_transaction(len(units)) as tx:
            results = []
            if not savepoints:
                for unit in units:
                    if isinstance(unit, UnitWithLookups):
                        unit.look_up(tx)
            for unit in units:
                result, error = _result_of(self._transact_nested, tx, unit, savepoints)
                if error is not None and (isinstance(error, PartialWriteError) or not tx.is_open):
                    raise error
                results.append((result, error))
            try:
                tx.flush_deferred()
            except Exception as error:
                # Perhaps a statement of one unit failed, which must not be the error of all.
                if savepoints or not tx.is_open:
                    raise
                raise PartialWriteError from error
        return results

    def _transact_nested(self, tx: Transaction, unit: UnitOfWork, savepoint: bool) -> Any:  # noqa: FBT001 -- it is passed on
        with self._error_translator:
            return tx.run_nested(unit, savepoint=savepoint)


class _ErrorTranslator:
    """Translates driver exceptions to `Problem`s, as a context manager. Stateless, so all threads share one."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if isinstance(error, DBAPIError):  # an ORM session wraps the driver's error
            error = error.orig
        if not isinstance(error, self._driver.failures):
            return
        problem = self._driver.to_problem(error)
        if problem is None:
            raise DatabaseFault(self._driver.describe(error)).with_traceback(error.__traceback__) from None
        if type(problem) is Conflict:
            raise SerializationConflict from error
        if not isinstance(problem, QueryTimeout):
            logger.warning("the database could not be used: %s", self._driver.describe(error))
        raise problem from error


def _with_retries(run: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Call `run`; retry it if nothing was committed and it may work now, up to MAX_ATTEMPTS calls in all."""
    for _ in range(MAX_ATTEMPTS - 1):
        with suppress(SerializationConflict, ConnectionLost):
            return run(*arguments, **options)
    return run(*arguments, **options)


def _result_of(run: Callable[..., Any], *arguments: Any) -> tuple[Any, BaseException | None]:
    try:
        return run(*arguments), None
    except Exception as error:  # noqa: BLE001 -- the caller that submitted the unit raises it
        return None, error
