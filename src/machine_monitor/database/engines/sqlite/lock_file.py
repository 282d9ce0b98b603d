"""A lock file beside an SQLite file: of all processes, one at a time writes, commits and moves the write-ahead log.

SQLite lets one connection commit while another moves the log, and before 3.51.3 what is committed just then can be
lost: https://www.sqlite.org/wal.html#walresetbug
"""

import logging
import os
import stat
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from machine_monitor.errors import DatabaseBusy

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)
# A batch takes several; SQLite, where it waits for another's lock, sleeps up to a hundred.
POLL_SECONDS = 0.001


class LockFile:
    """The lock of those who write to one SQLite file, which is there; for one thread. The lock file stays."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._opened: int | None = None

    @contextmanager
    def held(self, seconds: float) -> Generator[None]:
        """Hold the lock; raises `DatabaseBusy` if it is not to be had for so many seconds, or at all."""
        if sys.platform == "win32":  # It has no such lock: there, let one process alone write.
            yield
            return
        try:
            opened = self._acquire(seconds)
        except OSError as error:
            logger.warning("the database's lock file could not be used: %s", error)
            raise DatabaseBusy from error
        try:
            yield
        finally:
            fcntl.flock(opened, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        if self._opened is not None:
            os.close(self._opened)
            self._opened = None

    def _acquire(self, seconds: float) -> int:
        opened = self._opened = _open(self._database) if self._opened is None else self._opened
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)
            else:
                return opened


def _open(database: Path) -> int:
    """The lock file's descriptor; who may write to the database may open it, whoever was the first."""
    path = database.with_name(f"{database.name}-lock")
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        like = database.stat()
        mode = stat.S_IMODE(like.st_mode)
        opened = os.open(path, os.O_RDONLY | os.O_CREAT, mode)
        with suppress(PermissionError):  # Another made it just now, or the group is none of ours.
            os.fchmod(opened, mode)
            os.fchown(opened, like.st_uid if os.geteuid() == 0 else -1, like.st_gid)
        return opened
