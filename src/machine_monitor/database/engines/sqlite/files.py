"""Write whole SQLite files: build them in a temporary folder, check them, and rename them into place atomically."""

import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from machine_monitor.errors import UsageError

Progress = Callable[[int, int], None]
PAGES_AT_ONCE = 1_000
# Sidecar files of a database. SQLite would apply stale ones to a new database file of the same name.
SIDECAR_SUFFIXES = ("-wal", "-journal")


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
        faults = [fault for (fault,) in connection.execute("PRAGMA integrity_check(3)") if fault != "ok"]
        if connection.execute("PRAGMA foreign_key_check").fetchone():
            faults.append("records refer to missing rows")
    if faults:
        raise UsageError(f"{path.name} is damaged: {'; '.join(faults)}.")


def replace_atomically(source: Path, target: Path) -> None:
    """Flush a finished file and rename it to `target`, replacing any file there. Durable on return."""
    assert not stale_sidecars(source)
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
