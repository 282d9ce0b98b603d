"""Two lock files beside an SQLite file, one for writers and one for services.

Writers: one process at a time writes, commits and runs a checkpoint. SQLite lets one connection commit while another
runs a checkpoint of the write-ahead log. Before 3.51.3, that commit can be lost:
https://www.sqlite.org/wal.html#walresetbug

Services: each process of a service holds a shared lock for its life, so that no command puts another database in place
of the one that it serves.

The kernel releases a lock (flock) when its process ends, however it ends.
"""

import logging
import os
import stat
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from machine_monitor.database.engines.sqlite.files import PRIVATE
from machine_monitor.errors import DatabaseBusy, UsageError

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)
# Poll every millisecond: a batch takes a few milliseconds, while SQLite's busy handler sleeps up to 100 ms.
POLL_SECONDS = 0.001
# How long a service that starts waits for `mm restore` or `mm copy` to put the database in place.
SERVICE_SECONDS = 5.0
WRITERS, SERVICES = "-lock", "-service"


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
        deadline = time.monotonic() + timeout
        while True:
            fd = self._fd = _open(self._database, WRITERS) if self._fd is None else self._fd
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)
                continue
            if _is_at(_path(self._database, WRITERS), fd):
                return fd
            # The file was moved or deleted: other processes lock the one that is at its path.
            self.close()


class ServiceLock:
    """The shared lock of a process that serves an SQLite file."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._fd: int | None = None

    def hold(self, timeout: float = SERVICE_SECONDS) -> None:
        """Take the lock, or take it again if its file was moved or deleted; raises `UsageError` if a command has it."""
        if sys.platform == "win32" or (self._fd is not None and _is_at(_path(self._database, SERVICES), self._fd)):
            return
        self.release()
        deadline = time.monotonic() + timeout
        while (fd := _locked(self._database, fcntl.LOCK_SH)) is None:
            if time.monotonic() > deadline:
                raise UsageError(f"A command is writing {self._database}. Start the service when it has finished.")
            time.sleep(POLL_SECONDS)
        self._fd = fd

    def release(self) -> None:
        """Release the lock; the last service removes its file."""
        if self._fd is None:
            return
        path = _path(self._database, SERVICES)
        if _is_at(path, self._fd) and _try_lock(self._fd, fcntl.LOCK_EX):
            path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = None


@contextmanager
def exclude_services(database: Path) -> Generator[None]:
    """Let no service begin to serve this file; raises `UsageError` if one does already."""
    if sys.platform == "win32" or not database.parent.is_dir():
        yield
        return
    fd = _locked(database, fcntl.LOCK_EX)
    if fd is None:
        raise UsageError(f"A running service uses {database}. Stop it first, or choose another file.")
    try:
        yield
    finally:
        _path(database, SERVICES).unlink(missing_ok=True)
        os.close(fd)


def _locked(database: Path, mode: int) -> int | None:
    """Open the lock file of services and lock it; None if another process has a lock that excludes this one."""
    while True:
        fd = _open(database, SERVICES)
        if not _try_lock(fd, mode):
            os.close(fd)
            return None
        if _is_at(_path(database, SERVICES), fd):
            return fd
        # The last service has just removed the file.
        os.close(fd)


def _try_lock(fd: int, mode: int) -> bool:
    try:
        fcntl.flock(fd, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, fd: int) -> bool:
    """Whether an open file is the one at this path."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(fd))
    return False


def _path(database: Path, suffix: str) -> Path:
    return database.with_name(f"{database.name}{suffix}")


def _open(database: Path, suffix: str) -> int:
    """Open a lock file, and create it if necessary, with the owner of the database.

    Every user who can write to the database can lock it, and nobody else: a lock that is held stops all writers.
    """
    path = _path(database, suffix)
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        fd = os.open(path, os.O_RDONLY | os.O_CREAT, PRIVATE)
        with suppress(FileNotFoundError):  # A service creates its lock before its database.
            _share(fd, database.stat())
        return fd


def _share(fd: int, database: os.stat_result) -> None:
    """Let those users open a lock file who can write to the database."""
    mode = PRIVATE
    for may_write, read_and_write in ((stat.S_IWGRP, 0o060), (stat.S_IWOTH, 0o006)):
        mode |= read_and_write if database.st_mode & may_write else 0
    with suppress(PermissionError):  # Another user just created it, or this user is not in the group.
        os.fchmod(fd, mode)
        os.fchown(fd, database.st_uid if os.geteuid() == 0 else -1, database.st_gid)
