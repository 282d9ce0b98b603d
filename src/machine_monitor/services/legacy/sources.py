"""Where the records of the legacy tool come from: its folder, this folder as a ZIP archive, or its SQLite file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from machine_monitor.errors import UsageError
from machine_monitor.services.legacy import archive, read, sqlite_file
from machine_monitor.services.legacy.read import Raw

SourceFormat = Literal["legacy-folder", "legacy-database"]
ZIP, SQLITE = b"PK\x03\x04", b"SQLite format 3\0"


def records(source: Path, *, drafts: bool = False, max_records: int | None = None) -> Iterator[Raw | None]:
    """Yield every record of a legacy source, and None for other files in it; raises `UsageError`."""
    for number, raw in enumerate(_open(source, drafts=drafts, max_records=max_records)):
        if number == max_records:
            raise UsageError(f"{source} has more than {max_records:,} records. Use `mm sync`, which has no such limit.")
        yield raw


def recognize(path: Path) -> SourceFormat | None:
    """Return what a file of the legacy tool is, by its content; None if it is none."""
    begin = _first_bytes(path)
    if begin == SQLITE:
        return "legacy-database"
    return "legacy-folder" if begin.startswith(ZIP) and archive.is_legacy(path) else None


def _open(source: Path, *, drafts: bool, max_records: int | None) -> Iterator[Raw | None]:
    if source.is_dir():
        return read.folder_records(source, drafts=drafts)
    if not source.is_file():
        raise UsageError(f"{source} does not exist: name the legacy folder or SQLite file.")
    if _first_bytes(source).startswith(ZIP):
        return archive.records(source, drafts=drafts)
    return sqlite_file.records(source, max_records)


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
