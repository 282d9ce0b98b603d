"""Open connections to an SQLite file: one that writes, and readers."""

import sqlite3
from pathlib import Path

import aiosqlite

from machine_monitor.database.engines.sqlite.pages import ReaderConnection
from machine_monitor.errors import SchemaMismatch

BUSY_SECONDS = 5.0
# Writing 1,000 logs changes 4,000 pages of 4 KiB. The next 1,000 find many of these pages in the cache, and so does the
# checkpoint that moves them from the write-ahead log to the file.
CACHE_KIB = 64 * 1024
# A COMMIT runs a checkpoint when the write-ahead log (WAL) has this many pages. It still holds the lock file then.
WAL_AUTOCHECKPOINT_PAGES = 16_000


def connect(
    path: Path,
    busy_seconds: float = BUSY_SECONDS,
    options: str = "mode=rw",
    factory: type[sqlite3.Connection] = sqlite3.Connection,
) -> sqlite3.Connection:
    """Open an existing database, never a new one; `options` are those of SQLite's URI.

    The connection autocommits and may move between threads. Triggers and views call no unsafe functions.
    """
    uri = f"{path.as_uri()}?{options}"
    connection = sqlite3.connect(
        uri, timeout=busy_seconds, isolation_level=None, check_same_thread=False, uri=True, factory=factory
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
    _open_sidecars(connection)
    return connection


def connect_reader(path: Path, options: str, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open a reader connection, with SQLite's locks or whatever the options of its URI say.

    Its statements wait up to `busy_seconds` for a lock.
    """
    # Another process that opens the file at the same time may hold all locks for a moment.
    connection = connect(path, BUSY_SECONDS, options, ReaderConnection)
    connection.execute("PRAGMA query_only=ON")
    _open_sidecars(connection)
    connection.execute(f"PRAGMA busy_timeout={round(busy_seconds * 1000)}")
    return connection


def _open_sidecars(connection: sqlite3.Connection) -> None:
    """Make SQLite open the write-ahead log and the shared memory now; it would do so with the first read."""
    connection.execute("PRAGMA schema_version").fetchone()


class Reader:
    """A reader connection with its own thread, and its raw handle, which a timer may interrupt.

    `files` are those that it has open; None if it is closed.
    """

    connection: aiosqlite.Connection
    raw: sqlite3.Connection
    files: object = None

    async def open(self, path: Path, options: str, files: object) -> None:
        """Open the connection, or open it again on other files."""
        await self.close()
        # Connect before the thread starts: if connecting fails, the thread would outlive the event loop.
        self.raw = raw = connect_reader(path, options)
        self.connection = aiosqlite.Connection(lambda: raw, iter_chunk_size=64)
        try:
            await self.connection
        except BaseException:
            self.connection.stop()
            raise
        self.files = files

    async def close(self) -> None:
        """Close the connection; without this its thread keeps the process alive."""
        if self.files is not None:
            self.files = None
            await self.connection.close()
