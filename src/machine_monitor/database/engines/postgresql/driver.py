"""Connections to a PostgreSQL server: an asynchronous pool for reading, a blocking one for writing."""

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

READERS = 8
WRITERS = 4
BUSY_SECONDS = 5.0
# Right for a solid-state disk. At 4, the default, the planner reads all logs for a rare word, instead of a thousand.
RANDOM_PAGE_COST = 1.1
# A pool reconnects after 1, 2, 4 ... seconds, until it gives up; the next request makes it begin anew. Giving up early
# lets requests find a server as soon as it is back.
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
    """The options of the URL, then our own; the engine's `_rfc3339` relies on the zone and the date style."""
    given = str(conninfo_to_dict(conninfo).get("options") or "")
    return " ".join(
        [given, "-c TimeZone=UTC -c DateStyle=ISO", *[f"-c {name}={value}" for name, value in settings.items()]]
    ).strip()


def read_options(conninfo: str, query_timeout: float) -> str:
    """The options of a reading connection; the timeout is in seconds."""
    timeout = max(1, round(query_timeout * 1000))
    return _options(conninfo, statement_timeout=timeout, random_page_cost=RANDOM_PAGE_COST)


class PostgresqlDriver:
    """Reads and writes through pools that open a connection when one is first needed."""

    readers = READERS
    failures = psycopg.Error

    def __init__(self, conninfo: str, query_timeout: float) -> None:
        self._conninfo = conninfo
        self._read_options = read_options(conninfo, query_timeout)
        self._reads = AsyncConnectionPool(
            conninfo,
            min_size=1,
            max_size=READERS,
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
        """Start the reading pool; it connects in the background."""
        await self._reads.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._reads.close()
        self.close_writer()

    def close_writer(self) -> None:
        """Close the writing connections."""
        self._writes.close()

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """Run one statement; the server stops it at the time limit."""
        async with self._reads.connection() as connection:
            prepare = not statement.uses_fulltext
            cursor = await connection.execute(statement.sql, statement.bind(values), prepare=prepare)  # ty: ignore[invalid-argument-type] -- the text comes from the compiler
            return await cursor.fetchall()

    def stream(self, statement: Statement, values: Mapping[str, Any]) -> Generator[list[Any]]:
        """The rows of one statement, some at a time; to the server each part is a statement with its own time limit."""
        with psycopg.connect(self._conninfo, options=self._read_options) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.cursor(name="stream") as cursor:
                cursor.execute(statement.sql, statement.bind(values))  # ty: ignore[invalid-argument-type] -- the text comes from the compiler
                while rows := cursor.fetchmany(FETCH_SIZE):
                    yield rows

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Generator[psycopg.Cursor]:
        """A cursor inside a transaction, rolled back on any error. A snapshot only reads, and sees one moment."""
        self._writes.open()
        with self._writes.connection() as connection, connection.cursor() as cursor:
            if snapshot:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield cursor

    def file_bytes(self) -> dict[str, int]:
        """Empty: the server knows its own files."""
        return {}

    def to_problem(self, error: Exception) -> Problem | None:
        """The problem that the API answers for a driver's error; None if the error is a fault of the code."""
        kind = next((problem for fault, problem in PROBLEMS if isinstance(error, fault)), None)
        return kind() if kind else None

    def describe(self, error: psycopg.Error) -> str:
        """An error's first sentence. Details are left out, and sentences of class 22: they hold values."""
        sentence = None if (error.sqlstate or "").startswith("22") else error.diag.message_primary
        return " ".join(filter(None, [type(error).__name__, error.sqlstate, sentence]))
