"""PostgreSQL: a pool of asynchronous connections for reading, a pool of blocking ones for writing."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from machine_monitor.database.statements import Statement
from machine_monitor.database.streams import ROWS
from machine_monitor.errors import Conflict, DatabaseBusy, Problem, QueryTimeout, StorageFull

READERS = 8
WRITERS = 4
BUSY_SECONDS = 5.0
# As of a solid-state disk. At 4, the default, a rare word costs a walk through all logs rather than a thousand reads.
RANDOM_PAGE_COST = 1.1
# A pool tries again after 1, 2, 4 ... seconds, until it gives up and who asks next makes it begin anew: a server that
# was away for a minute is to be used again as soon as it is there.
RECONNECT_SECONDS = 2.0
# The first row that fits decides: psycopg's errors are a tree with OperationalError near its root.
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
    """The connection's own options, then ours: times are written as `instants.postgresql_text` reads them."""
    given = str(conninfo_to_dict(conninfo).get("options") or "")
    return " ".join(
        [given, "-c TimeZone=UTC -c DateStyle=ISO", *[f"-c {name}={value}" for name, value in settings.items()]]
    ).strip()


def reading_options(conninfo: str, query_timeout: float) -> str:
    """The options of a connection that reads; the timeout is in seconds."""
    timeout = max(1, round(query_timeout * 1000))
    return _options(conninfo, statement_timeout=timeout, random_page_cost=RANDOM_PAGE_COST)


class PostgresqlDriver:
    """Reads and writes through pools that open a connection when one is first needed."""

    readers = READERS
    failures = psycopg.Error

    def __init__(self, conninfo: str, query_timeout: float) -> None:
        self._conninfo = conninfo
        self._read_options = reading_options(conninfo, query_timeout)
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
        """Run one statement; the server stops it after the time limit."""
        async with self._reads.connection() as connection:
            prepare = not statement.searching
            cursor = await connection.execute(statement.sql, statement.bind(values), prepare=prepare)  # ty: ignore[invalid-argument-type] -- the text comes from the compiler
            return await cursor.fetchall()

    def stream(self, statement: Statement, values: Mapping[str, Any]) -> Generator[list[Any]]:
        """The rows of one statement, some at a time; each part is a statement to the server and its time limit."""
        with psycopg.connect(self._conninfo, options=self._read_options) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.cursor(name="stream") as cursor:
                cursor.execute(statement.sql, statement.bind(values))  # ty: ignore[invalid-argument-type] -- the text comes from the compiler
                while rows := cursor.fetchmany(ROWS):
                    yield rows

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Generator[psycopg.Cursor]:
        """A cursor inside a transaction, one that sees a single moment if asked; rolled back on any error."""
        self._writes.open()
        with self._writes.connection() as connection, connection.cursor() as cursor:
            if snapshot:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield cursor

    def file_bytes(self) -> dict[str, int]:
        """Nothing: the server knows its own files."""
        return {}

    def problem(self, error: Exception) -> Problem | None:
        """What the API says of a driver's error; None if it is a fault of ours."""
        kind = next((problem for fault, problem in PROBLEMS if isinstance(error, fault)), None)
        return kind() if kind else None

    def describe(self, error: psycopg.Error) -> str:
        """What an error is: its first sentence; details, and the sentences of class 22, hold values."""
        sentence = None if (error.sqlstate or "").startswith("22") else error.diag.message_primary
        return " ".join(filter(None, [type(error).__name__, error.sqlstate, sentence]))
