"""PostgreSQL connections: an asynchronous connection pool for reading, a blocking one for writing."""

import logging
import select
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from machine_monitor.database.engines.engine import ConnectionLost, DatabaseReadOnly
from machine_monitor.database.engines.postgresql import failures
from machine_monitor.database.engines.postgresql.pipelining import PipelineCursor
from machine_monitor.database.engines.postgresql.session_settings import CONNECTION, SessionSettings, connect, is_pooled
from machine_monitor.database.schema import MIGRATION_LOCK, REVISION
from machine_monitor.database.statements import Statement
from machine_monitor.database.streams import FETCH_SIZE
from machine_monitor.errors import Conflict, DatabaseBusy, Problem, QueryTimeout, StorageFull
from machine_monitor.fairness import FairSemaphore
from machine_monitor.lasting_condition import LastingCondition

logger = logging.getLogger(__name__)
# The connections that users share.
READERS = 4
WRITERS = 4
BUSY_SECONDS = 5.0
# For solid-state disks. With the default of 4 the planner scans all logs for a rare word instead of the GIN index.
RANDOM_PAGE_COST = 1.1
# The pool reconnects with exponential backoff (1, 2, 4 s) and gives up after this time. The next request restarts it,
# so a low value finds a restarted server sooner.
RECONNECT_SECONDS = 2.0
# One round trip, as long as BEGIN alone takes. The lock lets no migration begin before the transaction ends.
BEGIN = "ISOLATION LEVEL READ COMMITTED"
AFTER_BEGIN = (
    f"SELECT pg_advisory_xact_lock_shared({MIGRATION_LOCK}); "
    f"SELECT current_setting('transaction_read_only') = 'on'; {REVISION}"
).encode()
BEGIN_QUERY = "ISOLATION LEVEL READ COMMITTED READ ONLY"
BEGIN_SNAPSHOT = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
READ_ONLY = "The database server is read-only at the moment. Reading still works."
# SQLSTATE classes: operator intervention (shutdown, idle timeout) and connection exception.
ENDED_BY_SERVER = ("57P", "08")
# The first row that matches decides: OperationalError is a base class of most errors.
PROBLEMS: tuple[tuple[type[psycopg.Error], Callable[[], Problem]], ...] = (
    (errors.QueryCanceled, QueryTimeout),
    (errors.DiskFull, StorageFull),
    (errors.SerializationFailure, Conflict),
    (errors.DeadlockDetected, Conflict),
    (psycopg.IntegrityError, Conflict),
    (errors.ReadOnlySqlTransaction, lambda: DatabaseReadOnly(READ_ONLY)),
    (psycopg.OperationalError, DatabaseBusy),
    (psycopg.InterfaceError, DatabaseBusy),
)


def query_settings(query_timeout: float) -> SessionSettings:
    """Return the settings of a reader connection; the timeout is in seconds."""
    timeout = max(1, round(query_timeout * 1000))
    return SessionSettings(statement_timeout=timeout, random_page_cost=RANDOM_PAGE_COST)


def is_dead(connection: psycopg.Connection | psycopg.AsyncConnection) -> bool:
    """Whether the server has ended an idle connection; without a round trip."""
    try:
        # The server sends nothing to an idle connection but notices and its end.
        while _is_readable(connection.fileno()):
            connection.pgconn.consume_input()
    except psycopg.Error:
        return True
    return connection.closed


if sys.platform == "win32":

    def _is_readable(fd: int) -> bool:
        return bool(select.select([fd], [], [], 0)[0])

else:

    def _is_readable(fd: int) -> bool:
        # Unlike `select`, `poll` also takes descriptors above 1,023.
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(0))


def _is_lost(connection: psycopg.Connection | psycopg.AsyncConnection, error: BaseException) -> bool:
    """Whether an error means that the connection has ended; the error may have been translated."""
    states = [getattr(each, "sqlstate", None) or "" for each in (error, error.__cause__)]
    return connection.broken or any(state.startswith(ENDED_BY_SERVER) for state in states)


class ServerReadOnly(ConnectionLost, DatabaseReadOnly):
    """The server is read-only; after a failover, the same URL may lead to another one."""

    explanation = READ_ONLY


class PostgresqlDriver:
    """Reads and writes through connection pools, which open connections on demand."""

    readers = READERS
    failures = psycopg.Error
    # The server's state may change at any time.
    read_only = ""

    def __init__(self, conninfo: str, query_timeout: float) -> None:
        self._conninfo = conninfo
        self._read_settings = query_settings(query_timeout)
        self._write_settings = SessionSettings(lock_timeout=int(BUSY_SECONDS * 1000))
        self._reads = AsyncConnectionPool(
            conninfo,
            min_size=1,
            max_size=FairSemaphore(READERS).capacity,
            open=False,
            timeout=BUSY_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            check=None,
            configure=self._read_settings.configure_async,
            kwargs={"autocommit": True, **CONNECTION},
        )
        self._writes = ConnectionPool(
            conninfo,
            min_size=0,
            max_size=WRITERS,
            open=False,
            timeout=BUSY_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            configure=self._write_settings.configure,
            # `BEGIN` is ours, so that it shares its round trip.
            kwargs={"autocommit": True, **CONNECTION},
        )
        self._read_only = LastingCondition(logger, "The database server accepts writes again.")
        self._reconnect_readers = False

    async def open(self) -> None:
        """Start the reader pool; it connects in the background."""
        await self._reads.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._reads.close()
        self.close_writer()

    def close_writer(self) -> None:
        """Close the writer pool."""
        self._writes.close()

    def hold_service_lock(self) -> None:
        """Nothing to do: the files belong to the server."""

    async def check(self) -> None:
        """Nothing to do: the files belong to the server."""

    async def fetch_inline(self, _statement: Statement, _values: Mapping[str, Any]) -> None:
        """Return None: every query runs in the server."""

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """Run one query; the server cancels it after the query timeout."""
        if self._reconnect_readers:
            self._reconnect_readers = False
            await self._reads.drain()
        try:
            return await self._fetch(statement, values)
        except ConnectionLost:
            # A query changes nothing, so it can run again.
            return await self._fetch(statement, values)

    async def _fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        async with self._live_reader() as connection:
            prepare = not statement.uses_fulltext
            try:
                # The cursor is closed to free its result at once, which may have 8 MiB.
                async with self._query_transaction(connection), connection.cursor() as cursor:
                    await cursor.execute(statement.sql, statement.bind(values), prepare=prepare)  # ty: ignore[invalid-argument-type] -- the text comes from the compiler
                    return await cursor.fetchall()
            except psycopg.OperationalError as error:
                # A standby cancels a query that conflicts with the changes that it receives (40001).
                if _is_lost(connection, error) or isinstance(error, errors.SerializationFailure):
                    raise ConnectionLost from error
                raise

    @asynccontextmanager
    async def _query_transaction(self, connection: psycopg.AsyncConnection) -> AsyncGenerator[None]:
        """Behind a pooler, run a query in a transaction, since only there its settings hold."""
        if not is_pooled(connection):
            yield
            return
        await connection.execute(self._read_settings.begin(connection, BEGIN_QUERY))
        try:
            yield
            await connection.commit()
        except BaseException:
            if not connection.broken:
                await connection.rollback()
            raise

    @asynccontextmanager
    async def _live_reader(self) -> AsyncGenerator[psycopg.AsyncConnection]:
        """Borrow a reader connection; the pool replaces those that the server has ended while they were idle."""
        for _ in range(2 * READERS):
            async with self._reads.connection() as connection:
                if not is_dead(connection):
                    yield connection
                    return
                await connection.close()
        raise DatabaseBusy

    def stream(self, statement: Statement, values: Mapping[str, Any]) -> Generator[list[Any]]:
        """Yield the rows of one query in chunks, through a server-side cursor. Each FETCH has its own timeout."""
        with connect(self._conninfo, self._read_settings) as connection:
            connection.execute(self._read_settings.begin(connection, BEGIN_SNAPSHOT))
            # The server ends the transaction with the connection.
            with connection.cursor(name="stream") as cursor:
                cursor.execute(statement.sql, statement.bind(values))  # ty: ignore[invalid-argument-type] -- the text comes from the compiler
                while rows := cursor.fetchmany(FETCH_SIZE):
                    yield rows

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Generator[psycopg.Cursor]:
        """Open a transaction and yield a cursor with the schema's revision; any error rolls it back.

        A snapshot is read-only and consistent, and its cursor has no result. Raises `ConnectionLost` if the connection
        ended before the commit, or if its server is read-only.
        """
        self._writes.open()
        with self._live_writer() as connection, PipelineCursor(connection) as cursor:
            try:
                begin = self._write_settings.begin(connection, BEGIN_SNAPSHOT if snapshot else BEGIN)
                cursor.execute(begin if snapshot else b"; ".join([begin, AFTER_BEGIN]))
                if not snapshot:
                    self._require_writable(cursor)
                yield cursor
            except BaseException as error:
                if _is_lost(connection, error):
                    raise ConnectionLost from error
                raise
            # Not in the block: whether the transaction is committed is not known if the connection ends now.
            cursor.commit()

    @contextmanager
    def _live_writer(self) -> Generator[psycopg.Connection]:
        """Borrow a writer connection; the pool replaces those that the server has ended while they were idle."""
        for _ in range(2 * WRITERS):
            with self._writes.connection() as connection:
                if not is_dead(connection):
                    yield connection
                    return
                connection.close()
        raise DatabaseBusy

    def _require_writable(self, cursor: psycopg.Cursor) -> None:
        """Move to the last result, the revision; raises `ConnectionLost` if the server is read-only."""
        cursor.set_result(-2)
        ((is_read_only,),) = cursor.fetchall()
        if is_read_only:
            # Connect again: after a failover, the same URL leads to another server.
            self._writes.drain()
            self._read_only.report(READ_ONLY)
            raise ServerReadOnly
        # After a failover, readers may still be connected to the former server, which is read-only.
        self._reconnect_readers |= self._read_only.end()
        cursor.nextset()

    def file_bytes(self) -> dict[str, int]:
        """Empty: the files belong to the server."""
        return {}

    def to_problem(self, error: Exception) -> Problem | None:
        """Map a driver error to the API's problem; None if it is a bug in this program."""
        if isinstance(error, errors.InsufficientPrivilege):
            return DatabaseReadOnly(f"The database does not allow this: {failures.explain(error)}")
        kind = next((problem for error_type, problem in PROBLEMS if isinstance(error, error_type)), None)
        return kind() if kind else None

    def describe(self, error: psycopg.Error) -> str:
        """Describe an error for the log, without values of records.

        That excludes DETAIL, and the message of SQLSTATE class 22 (data exceptions).
        """
        sentence = None if (error.sqlstate or "").startswith("22") else error.diag.message_primary
        return " ".join(filter(None, [type(error).__name__, error.sqlstate, sentence]))
