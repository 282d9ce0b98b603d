"""PostgreSQL connections: an asynchronous connection pool for reading, a blocking one for writing."""

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg_pool import ConnectionPool

from machine_monitor.database.engines.engine import ConnectionLost, DatabaseReadOnly
from machine_monitor.database.engines.postgresql import failures
from machine_monitor.database.engines.postgresql.history_state import if_announced
from machine_monitor.database.engines.postgresql.pipelining import PipelineCursor
from machine_monitor.database.engines.postgresql.readers import (
    BEGIN_SNAPSHOT,
    RECONNECT_SECONDS,
    Readers,
    count_readers,
    is_dead,
    is_lost,
    query_settings,
    stream_snapshot,
)
from machine_monitor.database.engines.postgresql.session_settings import CONNECTION, SessionSettings, connect
from machine_monitor.database.engines.postgresql.standby import IDENTITY, POSITION, Standby
from machine_monitor.database.read_point import HighestPosition
from machine_monitor.database.schema import MIGRATION_LOCK, REVISION
from machine_monitor.database.statements import Prefetch, Statement
from machine_monitor.errors import Conflict, DatabaseBusy, Problem, QueryTimeout, StorageFull
from machine_monitor.lasting_condition import LastingCondition

logger = logging.getLogger(__name__)
WRITERS = 4
BUSY_SECONDS = 5.0
# One round trip, as long as BEGIN alone takes. The lock lets no migration begin before the transaction ends.
BEGIN = "ISOLATION LEVEL READ COMMITTED"
AFTER_BEGIN = (
    f"SELECT pg_advisory_xact_lock_shared({MIGRATION_LOCK}); "
    f"SELECT current_setting('transaction_read_only') = 'on'; {REVISION}"
).encode()
READ_ONLY = "The database server is read-only at the moment. Reading still works."
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


class ServerReadOnly(ConnectionLost, DatabaseReadOnly):
    """The server is read-only; after a failover, the same URL may lead to another one."""

    explanation = READ_ONLY


class PostgresqlDriver:
    """Reads and writes through connection pools, which open connections on demand."""

    # A round trip to the server is worth saving.
    can_prefetch = True
    position_statement = POSITION
    failures = psycopg.Error
    # The server's state may change at any time.
    read_only = ""

    def __init__(self, conninfo: str, query_timeout: float, standby_conninfo: str | None = None) -> None:
        self._conninfo = conninfo
        self.readers = count_readers(conninfo)
        self.standby = Standby(standby_conninfo, query_timeout, self._identify) if standby_conninfo else None
        self._position = HighestPosition()
        self._read_settings = query_settings(query_timeout)
        self._write_settings = SessionSettings(lock_timeout=int(BUSY_SECONDS * 1000))
        self._reads = Readers(conninfo, self._read_settings, BUSY_SECONDS)
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
        """Start the reader pools; they connect in the background."""
        await self._reads.open()
        if self.standby is not None:
            await self.standby.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._reads.close()
        if self.standby is not None:
            await self.standby.close()
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
        await self._leave_former_server()
        try:
            return await self._fetch(statement, values)
        except ConnectionLost:
            # A query changes nothing, so it can run again.
            return await self._fetch(statement, values)

    async def _fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        # The cursor is closed to free its result at once, which may have 8 MiB.
        async with self._reads.connection() as connection, connection.cursor() as cursor:
            await cursor.execute(statement.sql, statement.bind(values), prepare=not statement.uses_fulltext)  # ty: ignore[invalid-argument-type] -- the text comes from the compiler
            return await cursor.fetchall()

    async def fetch_and_prefetch(
        self, statement: Statement, values: Mapping[str, Any], prefetch: Prefetch
    ) -> list[Any]:
        """Run a query that announces the state of the history, and the prefetched one, in one round trip.

        Return the rows of the first. `prefetch` keeps those of the second if there are any, or its error.
        """
        await self._leave_former_server()
        guarded = if_announced(prefetch.statement.sql)
        guarded_values = [*prefetch.statement.bind(prefetch.values), prefetch.known_state.hex()]
        async with (
            self._reads.connection() as connection,
            connection.cursor() as first,
            connection.cursor() as second,
        ):
            try:
                async with connection.pipeline():
                    # Prepared at once, so that psycopg knows whether the server has the statement after an error.
                    await first.execute(statement.sql, statement.bind(values), prepare=True)  # ty: ignore[invalid-argument-type] -- the text comes from the compiler
                    await second.execute(guarded, guarded_values, prepare=not prefetch.statement.uses_fulltext)  # ty: ignore[invalid-argument-type] -- the text comes from the compiler
                outcome = await second.fetchall()
            except psycopg.Error as error:
                if first.pgresult is None or is_lost(connection, error):
                    raise
                outcome = error
            rows = await first.fetchall()
        # Not before the end of the transaction that a pooler requires: it may fail, and then nothing counts.
        prefetch.keep(outcome)
        return rows

    async def _leave_former_server(self) -> None:
        """Connect again after a failover."""
        if self._reconnect_readers:
            self._reconnect_readers = False
            await self._reads.drain()

    def stream(self, statement: Statement, values: Mapping[str, Any]) -> Generator[list[Any]]:
        """Yield the rows of one query in chunks. Each FETCH has its own timeout."""
        with connect(self._conninfo, self._read_settings) as connection:
            yield from stream_snapshot(connection, self._read_settings, statement, values)

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
                if is_lost(connection, error):
                    raise ConnectionLost from error
                raise
            # Not in the block: whether the transaction is committed is not known if the connection ends now.
            if self.standby is not None and not snapshot:
                self._position.advance(cursor.commit_and_locate())
            else:
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

    @property
    def position(self) -> str:
        """A position of the write-ahead log after all commits so far; empty without a standby."""
        return self._position.value

    async def _identify(self) -> str:
        return await self._reads.fetch_value(IDENTITY)

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
