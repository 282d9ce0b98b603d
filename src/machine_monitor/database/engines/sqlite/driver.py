"""SQLite connections: a pool of readers in threads, one inline reader in the event loop, and one writer."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from machine_monitor.database.engines.engine import LOCAL_READERS, DatabaseReadOnly
from machine_monitor.database.engines.sqlite.connections import (
    BUSY_SECONDS,
    Reader,
    connect,
    connect_reader,
    connect_writer,
)
from machine_monitor.database.engines.sqlite.lock_file import LockFile, ServiceLock
from machine_monitor.database.engines.sqlite.writer import FileMoved, Writer
from machine_monitor.database.schema import REVISION
from machine_monitor.database.statements import Statement
from machine_monitor.database.streams import FETCH_SIZE
from machine_monitor.errors import (
    Conflict,
    DatabaseBusy,
    Problem,
    QueryTimeout,
    StorageFull,
    UsageError,
)
from machine_monitor.fairness import FairSemaphore

# The connections that users share.
READERS = LOCAL_READERS
# A query that takes longer in the event loop (processor time) moves to a thread. This is checked after so many steps of
# SQLite's virtual machine, about 50 us; a step that reads a large JSON document takes much longer.
INLINE_SECONDS = 0.002
INLINE_CHECK_STEPS = 1_000
# How often a query is interrupted until it ends.
INTERRUPT_SECONDS = 0.02
# How often the service tries to use another file that is at the path of its database.
FOLLOW_SECONDS = 1.0
# How often a stream checks its deadline, in virtual machine steps: every few milliseconds.
DEADLINE_CHECK_STEPS = 50_000
# Primary result codes, https://www.sqlite.org/rescode.html
PROBLEMS: dict[int, type[Problem]] = {
    sqlite3.SQLITE_BUSY: DatabaseBusy,
    sqlite3.SQLITE_LOCKED: DatabaseBusy,
    sqlite3.SQLITE_IOERR: DatabaseBusy,
    # SQLite reports a page that it cannot read as a corrupt one.
    sqlite3.SQLITE_CORRUPT: DatabaseBusy,
    sqlite3.SQLITE_NOTADB: DatabaseBusy,
    sqlite3.SQLITE_CANTOPEN: DatabaseBusy,
    sqlite3.SQLITE_READONLY: DatabaseReadOnly,
    sqlite3.SQLITE_INTERRUPT: QueryTimeout,
    sqlite3.SQLITE_FULL: StorageFull,
    sqlite3.SQLITE_CONSTRAINT: Conflict,
}


class SqliteDriver:
    """Runs short reads in the event loop and longer ones in a pool of threads; runs writes one after another."""

    readers = READERS
    can_prefetch = False
    failures = sqlite3.Error
    # Why the database is read-only; empty if it is not.
    read_only = ""
    # A file has no standby, and no position of a write-ahead log.
    standby = None
    position = ""

    def __init__(self, path: Path, query_timeout: float) -> None:
        self._path = path
        self._query_timeout = query_timeout
        self._readers: list[Reader] = []
        self._idle: asyncio.LifoQueue[Reader] = asyncio.LifoQueue()
        self._lock = LockFile(path)
        self._service_lock = ServiceLock(path)
        self._serving = False
        self._writer = Writer(path, lambda: connect_writer(path), lambda options: connect(path, options=options))
        self._inline: sqlite3.Connection | None = None
        self._inline_files: object = None
        self._following = asyncio.Lock()
        self._follow_at = 0.0
        # Streams and snapshots have connections of their own.
        self._temporary = 0
        self._temporary_lock = threading.Lock()
        self._inline_deadline = 0.0

    async def open(self) -> None:
        """Open the reader connections; first the writer, which creates the write-ahead log."""
        with self._writer.guard:
            self._writer.connection(may_reopen=True)
        await self._open_readers()

    async def _open_readers(self) -> None:
        for _ in range(FairSemaphore(READERS).capacity):
            reader = Reader()
            self._readers.append(reader)
            await reader.open(self._path, self._read_options, self._open_state)
            self._idle.put_nowait(reader)
        self._open_inline()

    @property
    def _open_state(self) -> object:
        """The files that are open: if others are at the path, readers open them."""
        return self._writer.files

    @property
    def _read_options(self) -> str:
        """The options of SQLite's URI for reading."""
        return "mode=rw"

    async def close(self) -> None:
        """Close every connection; without this the reader threads keep the process alive."""
        while self._readers:
            await self._readers.pop().close()
        self._close_inline()
        self.close_writer()

    def close_writer(self) -> None:
        """Close the writer connection."""
        self._writer.close()
        self._lock.close()
        self._serving = False
        self._service_lock.release()

    def hold_service_lock(self) -> None:
        """Hold the lock of services until the driver is closed."""
        self._service_lock.hold()
        self._serving = True

    async def check(self) -> None:
        """Raise `DatabaseBusy` unless the database file that is open is the one at its path; follow it if possible."""
        await self._follow_file()
        if self._serving:
            with suppress(UsageError, OSError):
                self._service_lock.hold(timeout=0)
        if not self._writer.is_current:
            raise self._writer.report_moved()

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """Run one query in a thread; it is interrupted after the query timeout. The caller has one of `readers`."""
        try:
            # There is an idle one, except while they are closed to follow the file.
            async with asyncio.timeout(BUSY_SECONDS):
                reader = await self._idle.get()
        except TimeoutError:
            raise DatabaseBusy from None
        query = asyncio.ensure_future(self._use(reader, statement, values))
        # Nobody waits for the error of a query that was cancelled: asyncio would log it as lost.
        query.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        timer = asyncio.get_running_loop().call_later(self._query_timeout, _interrupt, reader, query)
        try:
            return list(await asyncio.shield(query))
        finally:
            timer.cancel()
            _interrupt(reader, query)

    async def _use(self, reader: Reader, statement: Statement, values: Mapping[str, Any]) -> Iterable[Any]:
        """Run one query; then give the reader back."""
        try:
            if reader.files != (files := self._open_state):
                await reader.open(self._path, self._read_options, files)
            return await reader.connection.execute_fetchall(statement.sql, statement.bind(values))
        finally:
            self._idle.put_nowait(reader)

    async def _follow_file(self) -> None:
        """If other files are at the path than those that are open, move all connections there, if it is possible.

        Until then, reads go on with the files that are open.
        """
        if self._writer.is_current:
            self._writer.report_recovered()
            return
        if self._writer.is_missing:
            self._writer.report_moved()
            return
        async with self._following:
            if self._writer.is_current or time.monotonic() < self._follow_at:
                return
            try:
                # Readers stay with the former file until the new one is known to be usable.
                await asyncio.to_thread(self._writer.require_usable_file)
                async with self._readers_closed():
                    await asyncio.to_thread(self._reopen_writer)
            except (Problem, sqlite3.Error, OSError) as error:
                self._follow_at = time.monotonic() + FOLLOW_SECONDS
                self._writer.report_moved("" if isinstance(error, FileMoved) else str(error))

    @asynccontextmanager
    async def _readers_closed(self) -> AsyncGenerator[None]:
        """Close all readers as soon as they are idle; they open again when they are used."""
        taken = []
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                while len(taken) < len(self._readers):
                    taken.append(await self._idle.get())
            for reader in taken:
                await reader.close()
            self._close_inline()
            yield
        except TimeoutError:
            raise DatabaseBusy("A reader is still busy.") from None
        finally:
            for reader in taken:
                self._idle.put_nowait(reader)

    def _reopen_writer(self) -> None:
        """Open the writer on the file at the path, while this process has no other connection.

        Connections of a process to the same inode share their memory, so an old one would spoil a new one.
        """
        with self._writer.guard, self._temporary_lock:
            if self._temporary:
                raise DatabaseBusy("An export is still running.")
            self._writer.require_file()
            with self._lock.hold(BUSY_SECONDS):
                self._writer.connection(may_reopen=True)

    @contextmanager
    def _temporary_connection(self, connect_reader: Callable[[], sqlite3.Connection]) -> Generator[sqlite3.Connection]:
        with self._temporary_lock:
            if not self._writer.is_current:
                raise self._writer.report_moved()
            connection = connect_reader()
            self._temporary += 1
        try:
            yield connection
        finally:
            connection.close()
            with self._temporary_lock:
                self._temporary -= 1

    async def fetch_inline(self, statement: Statement, values: Mapping[str, Any]) -> list[Any] | None:
        """Run a query in the event loop; None if it is not short or meets a lock, and must move to a thread."""
        await self._follow_file()
        if statement.uses_fulltext:
            return None
        if self._inline is None or self._inline_files != self._open_state:
            self._open_inline()
        assert self._inline is not None
        self._inline_deadline = time.thread_time() + INLINE_SECONDS
        try:
            return self._inline.execute(statement.sql, statement.bind(values)).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY):
                raise
            return None

    def _open_inline(self) -> None:
        self._close_inline()
        self._inline_files = self._open_state
        self._inline = connect_reader(self._path, self._read_options, busy_seconds=0)
        self._inline.set_progress_handler(self._exceeds_inline_time, INLINE_CHECK_STEPS)

    def _close_inline(self) -> None:
        if self._inline is not None:
            self._inline.close()
            self._inline = None

    def _exceeds_inline_time(self) -> bool:
        """Progress handler: abort a query that is not short."""
        return time.thread_time() > self._inline_deadline

    def stream(self, statement: Statement, values: Mapping[str, Any]) -> Generator[list[Any]]:
        """Yield the rows of one query in chunks; each chunk is interrupted after the query timeout."""
        with self._temporary_connection(lambda: connect_reader(self._path, self._read_options)) as connection:
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
        """Open a transaction and yield a cursor with the schema's revision; any error rolls it back.

        A snapshot is read-only and consistent, and its cursor has no result.
        """
        if snapshot:
            # A plain connection without PRAGMAs: the file may be a backup, whose journal mode must not change.
            with self._temporary_connection(lambda: connect(self._path, options=self._read_options)) as connection:
                yield connection.execute("BEGIN")
            return
        with self._writer.guard:
            self._writer.require_file()
            with self._lock.hold(BUSY_SECONDS):
                # The readers of a service have to follow the file too: `_follow_file` does both.
                connection = self._writer.connection(may_reopen=not self._readers)
                yield from self._transact(connection)

    def _transact(self, connection: sqlite3.Connection) -> Generator[sqlite3.Cursor]:
        cursor = connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            yield cursor.execute(REVISION)
            cursor.execute("COMMIT")
            self._writer.confirm_commit()
        except BaseException:
            if connection.in_transaction:
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


def _interrupt(reader: Reader, query: asyncio.Future) -> None:
    """Interrupt a query, again and again until it ends: SQLite loses an interruption before the statement begins."""
    if query.done():
        return
    with suppress(sqlite3.ProgrammingError):  # it is being opened again
        reader.raw.interrupt()
    asyncio.get_running_loop().call_later(INTERRUPT_SECONDS, _interrupt, reader, query)
