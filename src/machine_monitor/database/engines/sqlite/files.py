"""Write whole SQLite files: build them in a temporary folder, check them, and rename them into place atomically."""

import os
import shlex
import sqlite3
import stat
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from machine_monitor.errors import UsageError

Progress = Callable[[int, int], None]
PAGES_AT_ONCE = 1_000
# A database contains password hashes and the digests of sessions and tokens: only its owner may read it. SQLite gives
# its sidecar files the mode of the database.
PRIVATE = 0o600
# Sidecar files of a database. SQLite would apply stale ones to a new database file of the same name.
SIDECAR_SUFFIXES = ("-wal", "-journal")
# All files that may be beside a database.
COMPANION_SUFFIXES = ("-wal", "-shm", "-journal", "-lock", "-service")


def create_private(path: Path) -> None:
    """Create an empty file that only its owner can read, whatever the umask; an existing file stays as it is.

    SQLite takes an empty file for a new database. Nothing can hold a lock on a file that was just created.
    """
    # If this fails, SQLite says why the file cannot be opened.
    with suppress(OSError):
        fd = os.open(os.path.realpath(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        try:
            if os.name == "posix":
                os.fchmod(fd, PRIVATE)
        finally:
            os.close(fd)


def mode_faults(path: Path) -> list[str]:
    """Return a sentence if other users can open files of this database."""
    if os.name != "posix":
        return []
    shared = {}
    for file in (path, *(path.with_name(path.name + suffix) for suffix in COMPANION_SUFFIXES)):
        with suppress(FileNotFoundError):
            if (mode := stat.S_IMODE(file.stat().st_mode)) & ~PRIVATE:
                shared[file] = f"{mode:04o}"
    if not shared:
        return []
    modes = ", ".join(f"{file.name} has mode {mode}" for file, mode in shared.items())
    command = " ".join(["chmod 600", *(shlex.quote(str(file)) for file in shared)])
    return [f"Other users can open the database, which holds password hashes: {modes}. Run `{command}`."]


@contextmanager
def staging(target: Path) -> Generator[Path]:
    """Yield a temporary path for building a file; remove it at the end, with its sidecar files.

    Raises `UsageError` if the disk or SQLite reports an error.
    """
    try:
        # Only its owner can read the folder. It is beside the target: a rename is atomic only within a file system.
        with TemporaryDirectory(prefix=f".{target.name}.", suffix=".partial", dir=target.parent) as folder:
            yield Path(folder) / target.name
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{target} was not written: {reason}.") from error


def copy(source: sqlite3.Connection, target: Path, progress: Progress) -> None:
    """Copy the snapshot that `source` sees in its transaction; other connections may write meanwhile."""
    create_private(target)
    with closing(sqlite3.connect(target)) as copied:
        source.backup(
            copied, pages=PAGES_AT_ONCE, progress=lambda _, remaining, total: progress(total - remaining, total)
        )


def finalize(path: Path, *, journal: Literal["wal", "delete"]) -> None:
    """Set the journal mode, which leaves a single file, and check its integrity; raises `UsageError` if damaged.

    `wal` suits a database in use. `delete` suits a backup: readers then need no files beside it.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal}")
        errors = [error for (error,) in connection.execute("PRAGMA integrity_check(3)") if error != "ok"]
        if connection.execute("PRAGMA foreign_key_check").fetchone():
            errors.append("records refer to missing rows")
    if errors:
        raise UsageError(f"{path.name} is damaged: {'; '.join(errors)}.")


def replace_atomically(source: Path, target: Path) -> None:
    """Flush a finished file and rename it to `target`, replacing any file there. Durable on return, and private."""
    assert not stale_sidecars(source)
    source.chmod(PRIVATE)
    _flush(source, os.O_RDWR)
    source.replace(target)
    if os.name == "posix":
        _flush(target.parent, os.O_RDONLY)


def stale_sidecars(path: Path) -> list[Path]:
    """Return the sidecar files of a former database at this path; SQLite would apply them to a new one."""
    sidecars = [path.with_name(path.name + suffix) for suffix in SIDECAR_SUFFIXES]
    return [sidecar for sidecar in sidecars if sidecar.exists() and sidecar.stat().st_size]


def _flush(path: Path, mode: int) -> None:
    fd = os.open(path, mode)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
