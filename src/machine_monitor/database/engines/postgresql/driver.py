"""PostgreSQL connections: an asynchronous connection pool for reading, a blocking one for writing."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from machine_monitor.database.statements import Statement
from machine_monitor.database.streams import FETCH_SIZE
from machine_monitor.errors import Conflict, DatabaseBusy, Problem, QueryTimeout, StorageFull
from machine_monitor.fairness import FairSemaphore

# The connections that users share.
READERS = 4
WRITERS = 4
BUSY_SECONDS = 5.0
# For solid-state disks. With the default of 4 the planner scans all logs for a rare word instead of the GIN index.
RANDOM_PAGE_COST = 1.1
# The pool reconnects with exponential backoff (1, 2, 4 s) and gives up after this time. The next request restarts it,
# so a low value finds a restarted server sooner.
RECONNECT_SECONDS = 2.0
# The first row that matches decides: OperationalError is a base class of most errors.
PROBLEMS: tuple[tuple[type[psycopg.Error], type[Problem]], ...] = (
    (errors.QueryCanceled, QueryTimeout),
    (errors.DiskFull, StorageFull),
    (errors.SerializationFailure, Conflict),
    (errors.DeadlockDetected, Conflict),
    (psycopg.IntegrityError, Conflict),
    (psycopg.OperationalError, DatabaseBusy),
    (psycopg.InterfaceError, DatabaseBusy),
)


def _options(conninfo: str, **settings: float) -> str:
    """Return the URL's options, then ours; `_rfc3339` in `engine.py` relies on this time zone and date style."""
    given = str(conninfo_to_dict(conninfo).get("options") or "")
    return " ".join(
        [given, "-c TimeZone=UTC -c DateStyle=ISO", *[f"-c {name}={value}" for name, value in settings.items()]]
    ).strip()


def read_options(conninfo: str, query_timeout: float) -> str:
    """Return the options of a reader connection; the timeout is in seconds."""
    timeout = max(1, round(query_timeout * 1000))
    return _options(conninfo, statement_timeout=timeout, random_page_cost=RANDOM_PAGE_COST)


class PostgresqlDriver:
    """Reads and writes through connection pools, which open connections on demand."""

    readers = READERS
    failures = psycopg.Error

    def __init__(self, conninfo: str, query_timeout: float) -> None:
        self._conninfo = conninfo
        self._read_options = read_options(conninfo, query_timeout)
        self._reads = AsyncConnectionPool(
            conninfo,
            min_size=1,
            max_size=FairSemaphore(READERS).capacity,
            open=False,
            timeout=BUSY_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            check=None,
            kwargs={"autocommit": True, "options": self._read_options},
        )
        self._writes = ConnectionPool(
            conninfo,
            min_size=0,
            max_size=WRITERS,
            open=False,
            timeout=BUSY_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            kwargs={"options": _options(conninfo, lock_timeout=int(BUSY_SECONDS * 1000))},
        )

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

    def fetch_inline(self, _statement: Statement, _values: Mapping[str, Any]) -> None:
        """Return None: every query runs in the server."""

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """Run one query; the server cancels it after the query timeout."""
        # The cursor is closed to free its result at once, which may have 8 MiB.
        async with self._reads.connection() as connection, connection.cursor() as cursor:
            prepare = not statement.uses_fulltext
            await cursor.execute(statement.sql, statement.bind(values), prepare=prepare)  # ty: ignore[invalid-argument-type] -- the text comes from the compiler
            return await cursor.fetchall()

    def stream(self, statement: Statement, values: Mapping[str, Any]) -> Generator[list[Any]]:
        """Yield the rows of one query in chunks, through a server-side cursor. Each FETCH has its own timeout."""
        with psycopg.connect(self._conninfo, options=self._read_options) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.cursor(name="stream") as cursor:
                cursor.execute(statement.sql, statement.bind(values))  # ty: ignore[invalid-argument-type] -- the text comes from the compiler
                while rows := cursor.fetchmany(FETCH_SIZE):
                    yield rows

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Generator[psycopg.Cursor]:
        """Open a transaction and yield its cursor; any error rolls it back. A snapshot is read-only and consistent."""
        self._writes.open()
        with self._writes.connection() as connection, connection.cursor() as cursor:
            if snapshot:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield cursor

    def file_bytes(self) -> dict[str, int]:
        """Empty: the files belong to the server."""
        return {}

    def to_problem(self, error: Exception) -> Problem | None:
        """Map a driver error to the API's problem; None if it is a bug in this program."""
        kind = next((problem for fault, problem in PROBLEMS if isinstance(error, fault)), None)
        return kind() if kind else None

    def describe(self, error: psycopg.Error) -> str:
        """Describe an error for the log, without values of records.

        That excludes DETAIL, and the message of SQLSTATE class 22 (data exceptions).
        """
        sentence = None if (error.sqlstate or "").startswith("22") else error.diag.message_primary
        return " ".join(filter(None, [type(error).__name__, error.sqlstate, sentence]))
