"""Read a database that this process cannot write, such as an archive on a read-only medium.

Nothing is created beside it: a `-shm` file of another user would stop its owner's service. Without that file, SQLite
reads the database only as `immutable`: without locks, and without looking at a write-ahead log. That is right as long
as nobody writes. Each read therefore compares the files before and after. If another process has begun to write, the
result is dropped, and from then on reads use the files of that process, with SQLite's locks.

https://www.sqlite.org/wal.html#read_only_databases
"""

import os
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from machine_monitor.database.engines.engine import DatabaseReadOnly
from machine_monitor.database.engines.sqlite.driver import SqliteDriver
from machine_monitor.database.engines.sqlite.open_files import SHM, WAL
from machine_monitor.database.statements import Statement
from machine_monitor.errors import DatabaseBusy

CHANGED = "Another process changed the database while it was being read. Try again."


class FileState(NamedTuple):
    """What is at the path of a database. While `is_in_use`, SQLite's locks protect readers from the writer."""

    is_in_use: bool
    stamps: tuple[object, ...]

    @property
    def options(self) -> str:
        """The options of SQLite's URI for reading."""
        return "mode=ro" if self.is_in_use else "mode=ro&immutable=1"


def stat_files(path: Path) -> FileState:
    """Look at the files of a database, without opening them."""
    resolved = os.path.realpath(path)
    database, wal, shm, journal = (_status(resolved + suffix) for suffix in ("", WAL, SHM, "-journal"))
    inodes = tuple(status and (status.st_dev, status.st_ino) for status in (database, wal, shm))
    if (wal is not None and shm is not None) or any(each and each.st_size for each in (wal, journal)):
        return FileState(is_in_use=True, stamps=inodes)
    return FileState(is_in_use=False, stamps=(*inodes, database and (database.st_mtime_ns, database.st_size)))


class ReadOnlyDriver(SqliteDriver):
    """Runs reads on a database that this process cannot write; refuses writes."""

    def __init__(self, path: Path, query_timeout: float, reason: str) -> None:
        super().__init__(path, query_timeout)
        self.read_only = f"The database is read-only: {reason}. Reading still works."

    async def open(self) -> None:
        """Open the reader connections."""
        await self._open_readers()

    def hold_service_lock(self) -> None:
        """Nothing to do: a lock file cannot be created, and a file that is replaced is noticed."""

    async def check(self) -> None:
        """Raise `DatabaseBusy` if there is no database at the path any more."""
        if not self._path.exists():
            raise DatabaseBusy(f"{self._path} was moved or deleted.")

    @property
    def _open_state(self) -> FileState:
        return stat_files(self._path)

    @property
    def _read_options(self) -> str:
        return stat_files(self._path).options

    async def _follow_file(self) -> None:
        """Nothing to do: readers open the file again when it has changed."""

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """Run one query in a thread, as `SqliteDriver` does."""
        before = stat_files(self._path)
        rows = await super().fetch(statement, values)
        self._require_unchanged(before)
        return rows

    async def fetch_inline(self, statement: Statement, values: Mapping[str, Any]) -> list[Any] | None:
        """Run a short query in the event loop, as `SqliteDriver` does."""
        before = stat_files(self._path)
        rows = await super().fetch_inline(statement, values)
        self._require_unchanged(before)
        return rows

    def stream(self, statement: Statement, values: Mapping[str, Any]) -> Generator[list[Any]]:
        """Yield the rows of one query in chunks, as `SqliteDriver` does."""
        before = stat_files(self._path)
        for rows in super().stream(statement, values):
            self._require_unchanged(before)
            yield rows
        self._require_unchanged(before)

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Generator[sqlite3.Cursor]:
        """Open a snapshot, as `SqliteDriver` does; raises `DatabaseReadOnly` if it is to be written."""
        if not snapshot:
            raise DatabaseReadOnly(self.read_only)
        before = stat_files(self._path)
        with super().transaction(snapshot=True) as cursor:
            yield cursor
        self._require_unchanged(before)

    def _require_unchanged(self, before: FileState) -> None:
        if not before.is_in_use and stat_files(self._path) != before:
            raise DatabaseBusy(CHANGED)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 -- as in `open_files`
    except OSError:
        return None
