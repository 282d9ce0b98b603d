"""A pool of PostgreSQL connections for queries, each of which runs in autocommit or behind a pooler."""

import os
import select
import sys
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool

from machine_monitor.database.engines.engine import LOCAL_READERS, ConnectionLost
from machine_monitor.database.engines.postgresql.session_settings import CONNECTION, SessionSettings, is_pooled
from machine_monitor.database.statements import Statement
from machine_monitor.database.streams import FETCH_SIZE
from machine_monitor.errors import DatabaseBusy
from machine_monitor.fairness import FairSemaphore

# The most connections that users share.
READERS = 4
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
# Environment variables from which libpq takes the host, or the service file that names it.
HOST_VARIABLES = {"PGHOST", "PGHOSTADDR", "PGSERVICE"}
# For solid-state disks. With the default of 4 the planner scans all logs for a rare word instead of the GIN index.
RANDOM_PAGE_COST = 1.1
# The pool reconnects with exponential backoff (1, 2, 4 s) and gives up after this time. The next request restarts it,
# so a low value finds a restarted server sooner.
RECONNECT_SECONDS = 2.0
BEGIN_QUERY = "ISOLATION LEVEL READ COMMITTED READ ONLY"
BEGIN_SNAPSHOT = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
# SQLSTATE classes: operator intervention (shutdown, idle timeout) and connection exception.
ENDED_BY_SERVER = ("57P", "08")


def count_readers(conninfo: str) -> int:
    """Return how many connections users share: LOCAL_READERS if the server has a Unix socket or a loopback address."""
    parts = conninfo_to_dict(conninfo)
    named = str(parts.get("hostaddr") or parts.get("host") or "")
    if named:
        is_local = all(host in LOCAL_HOSTS or host.startswith("/") for host in named.split(","))
    else:
        is_local = "service" not in parts and HOST_VARIABLES.isdisjoint(os.environ)
    return min(READERS, LOCAL_READERS) if is_local else READERS


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


def is_lost(connection: psycopg.Connection | psycopg.AsyncConnection, error: BaseException) -> bool:
    """Whether an error means that the connection has ended; the error may have been translated."""
    states = [getattr(each, "sqlstate", None) or "" for each in (error, error.__cause__)]
    return connection.broken or any(state.startswith(ENDED_BY_SERVER) for state in states)


def stream_snapshot(
    connection: psycopg.Connection, settings: SessionSettings, statement: Statement, values: Mapping[str, Any]
) -> Generator[list[Any]]:
    """Yield the rows of one query in chunks, from a server-side cursor; the transaction ends with the connection."""
    connection.execute(settings.begin(connection, BEGIN_SNAPSHOT))
    with connection.cursor(name="stream") as cursor:
        cursor.execute(statement.sql, statement.bind(values))  # ty: ignore[invalid-argument-type] -- the text comes from the compiler
        while rows := cursor.fetchmany(FETCH_SIZE):
            yield rows


class Readers:
    """Connections to one server, opened on demand; a query waits up to `wait_seconds` for one."""

    def __init__(self, conninfo: str, settings: SessionSettings, wait_seconds: float) -> None:
        self._settings = settings
        self._pool = AsyncConnectionPool(
            conninfo,
            min_size=1,
            max_size=FairSemaphore(READERS).capacity,
            open=False,
            timeout=wait_seconds,
            reconnect_timeout=RECONNECT_SECONDS,
            check=None,
            configure=settings.configure_async,
            kwargs={"autocommit": True, **CONNECTION},
        )

    async def open(self) -> None:
        """Start the pool; it connects in the background."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def drain(self) -> None:
        """Replace every connection, since the same address may lead to another server."""
        await self._pool.drain()

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[psycopg.AsyncConnection]:
        """Borrow a connection for a query; raises `ConnectionLost` if the query may succeed on another one."""
        async with self._live_connection() as connection:
            try:
                async with self._query_transaction(connection):
                    yield connection
            except psycopg.OperationalError as error:
                # A standby cancels a query that conflicts with the changes that it receives (40001).
                if is_lost(connection, error) or isinstance(error, errors.SerializationFailure):
                    raise ConnectionLost from error
                raise

    async def fetch_value(self, query: LiteralString) -> Any:
        """Return the only value of a query."""
        async with self.connection() as connection:
            cursor = await connection.execute(query)
            ((value,),) = await cursor.fetchall()
            return value

    @asynccontextmanager
    async def _live_connection(self) -> AsyncGenerator[psycopg.AsyncConnection]:
        """Borrow a connection; the pool replaces those that the server has ended while they were idle."""
        for _ in range(2 * READERS):
            async with self._pool.connection() as connection:
                if not is_dead(connection):
                    yield connection
                    return
                await connection.close()
        raise DatabaseBusy

    @asynccontextmanager
    async def _query_transaction(self, connection: psycopg.AsyncConnection) -> AsyncGenerator[None]:
        """Behind a pooler, run a query in a transaction, since only there its settings hold."""
        if not is_pooled(connection):
            yield
            return
        await connection.execute(self._settings.begin(connection, BEGIN_QUERY))
        try:
            yield
            await connection.commit()
        except BaseException:
            if not connection.broken:
                await connection.rollback()
            raise
