"""The writer connection of a process, which follows its database file: see docs/internals/database-file.md."""

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from machine_monitor.database.engines.sqlite.open_files import SHM, WAL, FileWatch, Inode, OpenFiles
from machine_monitor.database.schema import REVISION, is_head
from machine_monitor.errors import DatabaseBusy
from machine_monitor.lasting_condition import LastingCondition

logger = logging.getLogger(__name__)
# How often a file that changes while it is opened is opened again.
OPEN_ATTEMPTS = 3
# Opens the database read-only without its sidecar files and without locks.
IMMUTABLE = "immutable=1"

Connect = Callable[..., sqlite3.Connection]


class FileMoved(DatabaseBusy):
    """The files that are open are not those at the path."""

    explanation = (
        "The database file was moved, deleted or replaced while the service was running. "
        "Writes work again when it is back at its place."
    )


class Writer:
    """The writer connection, and the files that this process has open.

    Hold `guard` and the lock file for every method that uses or replaces the connection.
    """

    def __init__(self, path: Path, connect: Connect, connect_to_inspect: Connect) -> None:
        self._path = path
        self._connect = connect
        self._connect_to_inspect = connect_to_inspect
        self._watch = FileWatch(path)
        self._connection: sqlite3.Connection | None = None
        self._condition = LastingCondition(logger, f"{path} is back at its place. Writes work again.")
        # Why another file that is at the path cannot be used.
        self._reason = ""
        self.guard = threading.RLock()
        # None before the first write of a command.
        self.files: OpenFiles | None = None

    @property
    def is_current(self) -> bool:
        """Whether the files at the path are those that are open."""
        return self.files is None or self._watch.stat_files() == self.files

    @property
    def is_at_path(self) -> bool:
        """Whether the database itself is at the path; its sidecar files may have changed."""
        return self.files is None or self._watch.stat_files().database == self.files.database

    @property
    def is_missing(self) -> bool:
        """Whether nothing is at the path, although a file is open."""
        return self.files is not None and self._watch.stat_files().database is None

    def report_moved(self, reason: str = "") -> FileMoved:
        """Log that writes are refused, once for each reason, and return the error of a write."""
        self._reason = reason or self._reason
        if self._watch.stat_files().database is None:
            self._reason = ""
            self._condition.report(f"{self._path} was moved or deleted. Writes are refused until it is back.")
        elif self.is_at_path:
            self._condition.report(f"The write-ahead log of {self._path} was moved or deleted. {self._reason}".rstrip())
        else:
            self._condition.report(f"Another file is at {self._path}. Writes are refused. {self._reason}".rstrip())
        return FileMoved()

    def report_recovered(self) -> None:
        """Log that the file is back, if it was away."""
        self._condition.end()
        self._reason = ""

    def require_file(self) -> None:
        """Raise `FileMoved` if the file was moved or deleted; before anything looks for files beside it."""
        if self.is_missing:
            raise self.report_moved()

    def connection(self, *, may_reopen: bool) -> sqlite3.Connection:
        """Return the connection, opened on the file at the path; raises `FileMoved` if another one is open."""
        if self._connection is None:
            self._connection, self.files = self._open(reopened=self.files is not None)
        elif not self.is_current:
            if not may_reopen:
                raise self.report_moved()
            self.reopen()
        self.report_recovered()
        assert self._connection is not None
        return self._connection

    def confirm_commit(self) -> None:
        """Raise `FileMoved` if the last commit is not in the files at the path."""
        current = self._watch.stat_files()
        assert self.files is not None
        if current == self.files:
            return
        if current.database != self.files.database or (current.wal != self.files.wal and not self._rescue_commits()):
            raise self.report_moved()

    def require_usable_file(self) -> None:
        """Raise `DatabaseBusy` unless the file at the path is a complete database of this version."""
        self.require_file()
        if self.is_at_path:
            return
        wal = self._watch.stat_files().wal
        # A write-ahead log of the former database must not be applied. One of its own holds the newest commits.
        has_own_log = self.files is not None and wal != self.files.wal and _size(self._watch.sidecar(WAL))
        with closing(self._connect_to_inspect("mode=ro" if has_own_log else IMMUTABLE)) as connection:
            self._require_usable(connection)

    def reopen(self) -> None:
        """Open the file at the path, if it is usable; this process must have no other connection."""
        self.require_usable_file()
        if self.is_at_path:
            if (
                self._connection is not None
                and self.files is not None
                and self._watch.stat_files().wal != self.files.wal
            ):
                self._rescue_commits()
            happened = "%s: the write-ahead log was moved or deleted. A new one is used."
        else:
            self._move_sidecars_aside()
            self._reattach_wal()
            happened = "%s was replaced. The new file is used from now on."
        # SQLite notices if its file was moved, and then leaves the sidecar files of the new one alone.
        self.close()
        self._connection, self.files = self._open(reopened=True)
        logger.warning(happened, self._path)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self, *, reopened: bool = False) -> tuple[sqlite3.Connection, OpenFiles]:
        """Open a connection, and make sure that its file is the one at the path."""
        for _ in range(OPEN_ATTEMPTS):
            self._watch.resolve()
            before = self._watch.stat_files()
            connection = self._connect()
            after = self._watch.stat_files()
            try:
                if reopened:
                    self._require_usable(connection)
                if after.database == before.database and not (reopened and None in after):
                    return connection, after
            except BaseException:
                connection.close()
                raise
            connection.close()
        raise self.report_moved()

    def _rescue_commits(self) -> bool:
        """Move all commits of a deleted write-ahead log into the database file, by the connection that has it open.

        False if another process has begun a new one: it does not know these commits, or has moved them already.
        """
        assert self._connection is not None
        if _size(self._watch.sidecar(WAL)):
            return False
        (is_busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            raise self.report_moved("A reader is still busy.")
        return True

    def _move_sidecars_aside(self) -> None:
        """Move the sidecar files of the former database out of the way of the one that is at the path now.

        SQLite would apply them to it. The write-ahead log is kept, because it may hold commits of the former database.
        It gets the time of the last change of that database, to which it belongs.
        """
        current = self._watch.stat_files()
        assert self.files is not None
        assert self.files.database is not None
        if current.wal != self.files.wal and current.shm != self.files.shm:
            return
        wal, shm = self._watch.sidecar(WAL), self._watch.sidecar(SHM)
        if current.wal == self.files.wal:
            kept, modified = self._wal_of(self.files.database), self._watch.modified_ns[self.files.database]
            os.utime(wal, ns=(modified, modified))
            wal.replace(kept)
            logger.warning("%s belongs to the former database, and is now %s.", wal, kept)
        if current.shm == self.files.shm:
            shm.unlink()

    def _reattach_wal(self) -> None:
        """If a former database is at the path again, put its write-ahead log back, unless a program changed it."""
        current = self._watch.stat_files()
        if current.database is None or current.wal is not None:
            return
        kept = self._wal_of(current.database)
        if kept.exists() and kept.stat().st_mtime_ns == self._watch.modified_ns[current.database]:
            kept.replace(self._watch.sidecar(WAL))
            logger.warning("%s is the write-ahead log of the database again.", kept)

    def _wal_of(self, database: Inode) -> Path:
        """Return the path under which the write-ahead log of a former database is kept."""
        wal = self._watch.sidecar(WAL)
        return wal.with_name(f"{wal.name}-of-inode-{database[1]}")

    def _require_usable(self, connection: sqlite3.Connection) -> None:
        """Raise `DatabaseBusy` unless the database is complete and of this version."""
        if not is_head(connection.execute(REVISION).fetchall()):
            raise DatabaseBusy(
                "The file has the schema of another version: run `mm migrate` on it, or put another file there."
            )
        pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        if pages * size > _size(self._path) and not _size(self._watch.sidecar(WAL)):
            raise DatabaseBusy("The file is truncated: put back a complete copy.")


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 -- as in `open_files`
    except OSError:
        return 0
