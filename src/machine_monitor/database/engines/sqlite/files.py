"""SQLite files as a whole: copied as of one moment, finished in a folder of their own, then put into place."""

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
# What SQLite keeps beside a file, and would take for part of it.
COMPANIONS = ("-wal", "-journal")


@contextmanager
def making(target: Path) -> Generator[Path]:
    """A path beside `target` for a file in the making, gone at the end with all that SQLite puts beside it.

    Raises `UsageError` if the disk or SQLite refuses something.
    """
    try:
        # No one else reads what is in the making; and in the same folder, since only there a file is moved at once.
        with TemporaryDirectory(prefix=f".{target.name}.", suffix=".partial", dir=target.parent) as folder:
            yield Path(folder) / target.name
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{target} was not written: {reason}.") from error


def copy(source: sqlite3.Connection, target: Path, progress: Progress) -> None:
    """Copy what `source` sees in the transaction that it is in; others may write meanwhile."""
    with closing(sqlite3.connect(target)) as copied:
        source.backup(
            copied, pages=PAGES_AT_ONCE, progress=lambda _, remaining, total: progress(total - remaining, total)
        )


def seal(path: Path, journal: Literal["wal", "delete"]) -> None:
    """Leave one file that is whole: raises `UsageError` unless SQLite finds it so."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal}")
        faults = [fault for (fault,) in connection.execute("PRAGMA integrity_check(3)") if fault != "ok"]
        if connection.execute("PRAGMA foreign_key_check").fetchone():
            faults.append("records refer to what is not there")
    if faults:
        raise UsageError(f"{path.name} is damaged: {'; '.join(faults)}.")


def put(made: Path, target: Path) -> None:
    """Move a finished file to its place at once, on disk when this returns; what was there is replaced."""
    assert not left_over(made)
    _flush(made, os.O_RDWR)
    made.replace(target)
    if os.name == "posix":
        _flush(target.parent, os.O_RDONLY)


def left_over(path: Path) -> list[Path]:
    """What lies beside the place of a database and would be taken for part of it."""
    beside = [path.with_name(path.name + tail) for tail in COMPANIONS]
    return [found for found in beside if found.exists() and found.stat().st_size]


def _flush(path: Path, mode: int) -> None:
    opened = os.open(path, mode)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
