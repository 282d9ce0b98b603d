"""SQLite connections: a pool of readers in threads, one inline reader in the event loop, and one writer."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite

from machine_monitor.database.engines.sqlite.lock_file import LockFile
from machine_monitor.database.statements import MAX_PAGE_BYTES, Statement
from machine_monitor.database.streams import FETCH_SIZE
from machine_monitor.errors import Conflict, DatabaseBusy, Problem, QueryTimeout, SchemaMismatch, StorageFull
from machine_monitor.fairness import FairSemaphore

# The connections that users share. Queries are bound by the processor: more threads than processors would only slow the
# event loop down.
READERS = min(4, max(2, os.cpu_count() or 1))
# A query that takes longer in the event loop (processor time) moves to a thread. This is checked after so many steps of
# SQLite's virtual machine, about 50 us; a step that reads a large JSON document takes much longer.
INLINE_SECONDS = 0.002
INLINE_CHECK_STEPS = 1_000
BUSY_SECONDS = 5.0
# How often a stream checks its deadline, in virtual machine steps: every few milliseconds.
DEADLINE_CHECK_STEPS = 50_000
# Rows per fetch of a page, which ends with the fetch that exceeds MAX_PAGE_BYTES.
PAGE_FETCH_SIZE = 16
# Writing 1,000 logs changes 4,000 pages of 4 KiB. The next 1,000 find many of these pages in the cache, and so does the
# checkpoint that moves them from the write-ahead log to the file.
CACHE_KIB = 64 * 1024
# A COMMIT runs a checkpoint when the write-ahead log (WAL) has this many pages. It still holds the lock file then.
WAL_AUTOCHECKPOINT_PAGES = 16_000
# Primary result codes, https://www.sqlite.org/rescode.html
PROBLEMS: dict[int, type[Problem]] = {
    sqlite3.SQLITE_BUSY: DatabaseBusy,
    sqlite3.SQLITE_LOCKED: DatabaseBusy,
    sqlite3.SQLITE_IOERR: DatabaseBusy,
    # SQLite reports a page that it cannot read as a corrupt one.
    sqlite3.SQLITE_CORRUPT: DatabaseBusy,
    sqlite3.SQLITE_NOTADB: DatabaseBusy,
    sqlite3.SQLITE_CANTOPEN: DatabaseBusy,
    sqlite3.SQLITE_READONLY: DatabaseBusy,
    sqlite3.SQLITE_INTERRUPT: QueryTimeout,
    sqlite3.SQLITE_FULL: StorageFull,
    sqlite3.SQLITE_CONSTRAINT: Conflict,
}


def connect(
    path: Path, busy_seconds: float = BUSY_SECONDS, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """Open a connection that autocommits and may move between threads; triggers and views call no unsafe functions."""
    connection = sqlite3.connect(
        path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, factory=factory
    )
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


def connect_writer(path: Path, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open the writer connection: WAL, synchronous=FULL (a commit is durable) and foreign keys on."""
    connection = connect(path, busy_seconds)
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        connection.close()
        message = (
            f"{path}: SQLite cannot use its write-ahead log here (the journal mode is {mode}). "
            "Put the file on a local disk, not a network drive."
        )
        raise SchemaMismatch(message)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA cache_size={-CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint={WAL_AUTOCHECKPOINT_PAGES}")
    return connection


class PageCursor(sqlite3.Cursor):
    """A cursor that stops reading when the JSON documents in its first column have more than MAX_PAGE_BYTES."""

    def fetchall(self) -> list[Any]:
        """Return the rows of a page: at least two, and all if they are few or small."""
        rows = fetched = self.fetchmany(PAGE_FETCH_SIZE)
        if len(fetched) < PAGE_FETCH_SIZE or not isinstance(fetched[0][0], bytes):
            return [*fetched, *super().fetchall()]
        size = 0
        while fetched and (size := size + sum([len(row[0]) for row in fetched])) <= MAX_PAGE_BYTES:
            fetched = self.fetchmany(PAGE_FETCH_SIZE)
            rows += fetched
        return rows


class ReaderConnection(sqlite3.Connection):
    """A connection that reads pages."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run a statement; its cursor is a `PageCursor`."""
        return self.cursor(PageCursor).execute(sql, parameters)


def _connect_reader(path: Path, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    connection = connect(path, busy_seconds, ReaderConnection)
    connection.execute("PRAGMA query_only=ON")
    return connection


@dataclass(frozen=True)
class Reader:
    """A reader connection with its own thread, and its raw handle, which a timer may interrupt."""

    connection: aiosqlite.Connection
    raw: sqlite3.Connection


async def _open_reader(path: Path) -> Reader:
    # Connect before the thread starts: if connecting fails, the thread would outlive the event loop.
    raw = _connect_reader(path)
    return Reader(await aiosqlite.Connection(lambda: raw, iter_chunk_size=64), raw)


class SqliteDriver:
    """Runs short reads in the event loop and longer ones in a pool of threads; runs writes one after another."""

    readers = READERS
    failures = sqlite3.Error

    def __init__(self, path: Path, query_timeout: float) -> None:
        self._path = path
        self._query_timeout = query_timeout
        self._readers: list[Reader] = []
        self._idle: list[Reader] = []
        self._writer: sqlite3.Connection | None = None
        self._lock = LockFile(path)
        self._inline: sqlite3.Connection | None = None
        self._inline_deadline = 0.0

    async def open(self) -> None:
        """Open the reader connections; first the writer, which creates the write-ahead log."""
        self._writer = self._writer or connect_writer(self._path)
        for _ in range(FairSemaphore(READERS).capacity):
            reader = await _open_reader(self._path)
            self._readers.append(reader)
            self._idle.append(reader)
        self._inline = _connect_reader(self._path, busy_seconds=0)
        self._inline.set_progress_handler(self._exceeds_inline_time, INLINE_CHECK_STEPS)

    async def close(self) -> None:
        """Close every connection; without this the reader threads keep the process alive."""
        while self._readers:
            await self._readers.pop().connection.close()
        if self._inline is not None:
            self._inline.close()
        self.close_writer()

    def close_writer(self) -> None:
        """Close the writer connection."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._lock.close()

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """Run one query in a thread; it is interrupted after the query timeout."""
        reader = self._idle.pop()
        timer = asyncio.get_running_loop().call_later(self._query_timeout, reader.raw.interrupt)
        try:
            return list(await reader.connection.execute_fetchall(statement.sql, statement.bind(values)))
        except asyncio.CancelledError:
            reader.raw.interrupt()
            raise
        finally:
            timer.cancel()
            self._idle.append(reader)

    def fetch_inline(self, statement: Statement, values: Mapping[str, Any]) -> list[Any] | None:
        """Run a query in the event loop; None if it is not short or meets a lock, and must move to a thread."""
        assert self._inline is not None
        if statement.uses_fulltext:
            return None
        self._inline_deadline = time.thread_time() + INLINE_SECONDS
        try:
            return self._inline.execute(statement.sql, statement.bind(values)).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY):
                raise
            return None

    def _exceeds_inline_time(self) -> bool:
        """Progress handler: abort a query that is not short."""
        return time.thread_time() > self._inline_deadline

    def stream(self, statement: Statement, values: Mapping[str, Any]) -> Generator[list[Any]]:
        """Yield the rows of one query in chunks; each chunk is interrupted after the query timeout."""
        with closing(_connect_reader(self._path)) as connection:
            # One statement is one read transaction, so all rows belong to one snapshot.
            cursor = connection.cursor()
            deadline = time.monotonic() + self._query_timeout
            connection.set_progress_handler(lambda: time.monotonic() > deadline, DEADLINE_CHECK_STEPS)
            cursor.execute(statement.sql, statement.bind(values))
            while rows := cursor.fetchmany(FETCH_SIZE):
                yield rows
                deadline = time.monotonic() + self._query_timeout

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Generator[sqlite3.Cursor]:
        """Open a transaction and yield its cursor; any error rolls it back. A snapshot is read-only and consistent."""
        if snapshot:
            # Not the writer's settings: the file may be a backup, whose journal mode must not change.
            with closing(connect(self._path)) as connection:
                yield connection.execute("BEGIN")
            return
        if self._writer is None:
            self._writer = connect_writer(self._path)
        cursor = self._writer.cursor()
        with self._lock.hold(BUSY_SECONDS):
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    def file_bytes(self) -> dict[str, int]:
        """Return the size in bytes of the database file and of its write-ahead log, if they exist."""
        files = {"database": self._path, "wal": self._path.with_name(f"{self._path.name}-wal")}
        return {name: file.stat().st_size for name, file in files.items() if file.exists()}

    def to_problem(self, error: Exception) -> Problem | None:
        """Map a driver error to the API's problem; None if it is a bug in this program."""
        code = getattr(error, "sqlite_errorcode", None)
        kind = PROBLEMS.get(code & 0xFF) if code is not None else None
        return kind() if kind else None

    def describe(self, error: sqlite3.Error) -> str:
        """Describe an error for the log. SQLite's messages name tables and columns, but no values."""
        return f"{type(error).__name__}: {error}"
