"""Whole SQLite files: built in a temporary folder, checked, and moved into place atomically."""

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
# SQLite keeps these beside a file, and would take them for part of it.
SIDECAR_SUFFIXES = ("-wal", "-journal")


@contextmanager
def staging(target: Path) -> Generator[Path]:
    """A path at which to build a file; removed at the end, with all that SQLite puts beside it.

    Raises `UsageError` if the disk or SQLite reports an error.
    """
    try:
        # Only its owner can read the folder. It is beside the target, since a move is atomic within one file system.
        with TemporaryDirectory(prefix=f".{target.name}.", suffix=".partial", dir=target.parent) as folder:
            yield Path(folder) / target.name
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{target} was not written: {reason}.") from error


def copy(source: sqlite3.Connection, target: Path, progress: Progress) -> None:
    """Copy what `source` sees in its transaction; other connections may write meanwhile."""
    with closing(sqlite3.connect(target)) as copied:
        source.backup(
            copied, pages=PAGES_AT_ONCE, progress=lambda _, remaining, total: progress(total - remaining, total)
        )


def finalize(path: Path, journal: Literal["wal", "delete"]) -> None:
    """Leave a single file in this journal mode; raises `UsageError` if SQLite finds it damaged."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal}")
        faults = [fault for (fault,) in connection.execute("PRAGMA integrity_check(3)") if fault != "ok"]
        if connection.execute("PRAGMA foreign_key_check").fetchone():
            faults.append("records refer to what is not there")
    if faults:
        raise UsageError(f"{path.name} is damaged: {'; '.join(faults)}.")


def replace_atomically(made: Path, target: Path) -> None:
    """Move a finished file to its place, on disk when this returns; a file that was there is replaced."""
    assert not stale_sidecars(made)
    _flush(made, os.O_RDWR)
    made.replace(target)
    if os.name == "posix":
        _flush(target.parent, os.O_RDONLY)


def stale_sidecars(path: Path) -> list[Path]:
    """The files of a former database that SQLite would take for part of one at this path."""
    beside = [path.with_name(path.name + tail) for tail in SIDECAR_SUFFIXES]
    return [found for found in beside if found.exists() and found.stat().st_size]


def _flush(path: Path, mode: int) -> None:
    opened = os.open(path, mode)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
