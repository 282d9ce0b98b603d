"""Write the attachments of exported records into a folder: `KEY/NAME` for each, KEY being that of its record."""

import hashlib
import json
import re
import shutil
from collections.abc import AsyncGenerator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from machine_monitor.database.connect import Database
from machine_monitor.errors import UsageError
from machine_monitor.query.language.times import TimeContext
from machine_monitor.services.files.attachments import LIST
from machine_monitor.services.files.store import FileStore
from machine_monitor.services.tabular.exports import FORMATS, Export
from machine_monitor.services.tabular.files import ExportRequest

# The longest name that usual file systems take.
MAX_NAME_BYTES = 255
MAX_SUFFIX_BYTES = 20
# Separators of folders, and what Windows takes in no name.
_NO_PART_OF_A_NAME = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]')


@dataclass
class WrittenFiles:
    """How many files were written anew, and the digests of those that are missing from the store."""

    files: int = 0
    missing: list[str] = field(default_factory=list)


async def save_files(
    database: Database, request: ExportRequest, time_context: TimeContext, store: FileStore, folder: Path
) -> WrittenFiles:
    """Write the attachments of the records that an export has; a second run adds those that are new."""
    if LIST not in request.resource.child_lists:
        raise UsageError(f"{request.resource.name} have no attachments: omit --files.")
    written = WrittenFiles()
    await database.open()
    try:
        async with aclosing(_records(Export(database, request.files_query(time_context), time_context.zone))) as found:
            async for record in found:
                write_files(record, request.resource.key, store, folder, written)
    except OSError as error:
        raise UsageError(f"Cannot write {folder}: {error.strerror}.") from error
    finally:
        await database.close()
    return written


async def _records(export: Export) -> AsyncGenerator[dict[str, Any]]:
    waiting = b""
    async with aclosing(FORMATS["ndjson"].write(export)) as chunks:
        async for chunk in chunks:
            *lines, waiting = (waiting + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)


def write_files(record: Mapping[str, Any], key: str, store: FileStore, folder: Path, written: WrittenFiles) -> None:
    """Write the attachments of one record. A file that is there already, with the same bytes, is left as it is."""
    target = folder / path_part(record[key])
    taken: set[str] = set()
    for row in record[LIST]:
        digest = row["sha256"]
        path = _free_path(target, row["name"], digest, taken)
        taken.add(path.name.casefold())
        if path.exists():
            continue
        try:
            source = store.open(digest)
        except FileNotFoundError:
            written.missing.append(digest)
            continue
        with source:
            target.mkdir(parents=True, exist_ok=True)
            _copy(source, path, target / f".{digest}.partial")
        written.files += 1


def path_part(name: str, mark: str = "") -> str:
    """Return a name that any file system takes, with this mark before its suffix."""
    name = _NO_PART_OF_A_NAME.sub("_", name)
    if not name.strip(". "):
        name = "_" * max(len(name), 1)
    stem, suffix = Path(name).stem, Path(name).suffix
    if len(suffix.encode()) > MAX_SUFFIX_BYTES:
        stem, suffix = name, ""
    room = MAX_NAME_BYTES - len(f"{mark}{suffix}".encode())
    # `ignore` drops a character that was cut in half.
    return f"{stem.encode()[:room].decode(errors='ignore')}{mark}{suffix}"


def _free_path(folder: Path, name: str, digest: str, taken: AbstractSet[str]) -> Path:
    """Return a path that has these bytes already, or that nothing has; some file systems ignore case."""
    paths = (folder / path_part(name, f" ({number})" if number > 1 else "") for number in count(1))
    return next(
        path for path in paths if path.name.casefold() not in taken and (not path.exists() or _has_digest(path, digest))
    )


def _has_digest(path: Path, digest: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == digest


def _copy(source: BinaryIO, path: Path, partial: Path) -> None:
    """Write a file, which appears when it is complete."""
    try:
        with partial.open("wb") as target:
            shutil.copyfileobj(source, target)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
