"""Write the attachments of exported records into a folder: `KEY/NAME` for each, KEY being that of its record."""

import json
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machine_monitor.database.connect import Database
from machine_monitor.errors import UsageError
from machine_monitor.query.language.times import TimeContext
from machine_monitor.services.files.attachments import LIST
from machine_monitor.services.files.store import FileStore
from machine_monitor.services.tabular.exports import FORMATS, Export
from machine_monitor.services.tabular.files import ExportRequest


@dataclass
class WrittenFiles:
    """How many files were written, and the digests of those that are missing from the store."""

    files: int = 0
    missing: list[str] = field(default_factory=list)


async def save_files(
    database: Database, request: ExportRequest, time_context: TimeContext, store: FileStore, folder: Path
) -> WrittenFiles:
    """Write the attachments of the records that an export has. Files that are there already are not overwritten."""
    if LIST not in request.resource.child_lists:
        raise UsageError(f"{request.resource.name} have no attachments: omit --files.")
    written = WrittenFiles()
    await database.open()
    try:
        async with aclosing(_records(Export(database, request.files_query(time_context), time_context.zone))) as found:
            async for record in found:
                _write_files(record, request.resource.key, store, folder, written)
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


def _write_files(record: Mapping[str, Any], key: str, store: FileStore, folder: Path, written: WrittenFiles) -> None:
    taken: set[str] = set()
    for row in record[LIST]:
        path = folder / record[key] / _free_name(row["name"], taken)
        try:
            source = store.open(row["sha256"])
        except FileNotFoundError:
            written.missing.append(row["sha256"])
            continue
        with source:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as target:
                shutil.copyfileobj(source, target)
        written.files += 1


def _free_name(name: str, taken: set[str]) -> str:
    """Return the name, with a number if another file of the record has it; some file systems ignore case."""
    stem, suffix = Path(name).stem, Path(name).suffix
    free, number = name, 2
    while free.casefold() in taken:
        free, number = f"{stem} ({number}){suffix}", number + 1
    taken.add(free.casefold())
    return free
