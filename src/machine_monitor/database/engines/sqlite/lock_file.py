"""A lock file beside an SQLite file: one process at a time writes, commits and runs a checkpoint.

SQLite lets one connection commit while another runs a checkpoint of the write-ahead log. Before 3.51.3, that commit
can be lost: https://www.sqlite.org/wal.html#walresetbug
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
# Poll every millisecond: a batch takes a few milliseconds, while SQLite's busy handler sleeps up to 100 ms.
POLL_SECONDS = 0.001


class LockFile:
    """The advisory lock (flock) that serializes the writers of an SQLite file. Not thread-safe.

    The database must exist. The lock file is never removed: another process may be opening it.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._fd: int | None = None

    @contextmanager
    def hold(self, timeout: float) -> Generator[None]:
        """Hold the lock; raises `DatabaseBusy` if it is not free within `timeout` seconds, or cannot be used."""
        if sys.platform == "win32":  # Windows has no flock: only one process may write there.
            yield
            return
        try:
            fd = self._acquire(timeout)
        except OSError as error:
            logger.warning("cannot use the lock file of the database: %s", error)
            raise DatabaseBusy from error
        try:
            yield
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; `hold` opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _acquire(self, timeout: float) -> int:
        fd = self._fd = _open(self._database) if self._fd is None else self._fd
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)
            else:
                return fd


def _open(database: Path) -> int:
    """Open the lock file, and create it if necessary, with the owner and mode of the database.

    Every user who can write to the database can therefore lock it.
    """
    path = database.with_name(f"{database.name}-lock")
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        status = database.stat()
        mode = stat.S_IMODE(status.st_mode)
        fd = os.open(path, os.O_RDONLY | os.O_CREAT, mode)
        with suppress(PermissionError):  # Another user just created it, or this user is not in the group.
            os.fchmod(fd, mode)
            os.fchown(fd, status.st_uid if os.geteuid() == 0 else -1, status.st_gid)
        return fd
