"""Restoring: a backup, once it is known to be what its manifest says, becomes the database that is configured."""

import shutil
from functools import partial
from pathlib import Path
from tempfile import gettempdir

from machine_monitor.database import database_urls, schema
from machine_monitor.database.connect import Database
from machine_monitor.database.database_urls import DatabaseUrl
from machine_monitor.database.engines.sqlite import files
from machine_monitor.database.schema import migrations
from machine_monitor.errors import UsageError
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.backup import copying, manifest, transfer
from machine_monitor.services.backup.manifest import Manifest
from machine_monitor.services.backup.transfer import Contents, Progress


def restore(file: Path, destination: DatabaseUrl, progress: Progress) -> Contents:
    """Bring a backup back, migrated to this version's schema; raises an error and leaves all as it was if it cannot."""
    described = manifest.read(file)
    copying.require_empty(destination)
    path = destination.path
    # A copy: SQLite writes beside what it opens, and a migration into it.
    with files.staging(path or Path(gettempdir()) / file.name) as made:
        _fetch(file, made, described)
        held = _migrate(file, made, described, progress)
        if path is not None:
            copying.publish(made, destination, path)
            return held
        files.finalize(made, "wal")
        return copying.copy(Database(database_urls.for_file(made)), destination, progress)


def _fetch(file: Path, made: Path, described: Manifest) -> None:
    try:
        shutil.copyfile(file, made)
    except FileNotFoundError:
        raise UsageError(f"There is no backup at {file}.") from None
    if (made.stat().st_size, manifest.digest(made)) != (described.size, described.sha256):
        raise UsageError(f"{file} is not the file that its manifest describes: it was cut or changed.")


def _migrate(file: Path, made: Path, described: Manifest, progress: Progress) -> Contents:
    """Bring the copy of a backup to this version's schema; what it holds, which is what its manifest says."""
    url, told = database_urls.for_file(made), described
    found = migrations.current(url)
    if found != schema.head_revision():
        migrations.upgrade(url)
    held = Database(url).snapshot(partial(transfer.contents, progress=progress, known=hash_chain.parse_head(told.head)))
    # A migration may add rows and entries.
    same = found == told.schema and (
        found != schema.head_revision() or (held.tables, held.head) == (told.tables, told.head)
    )
    if not same or held.faults != told.faults:
        raise UsageError(f"{file} does not hold what its manifest says: its history ends at {held.head}.")
    return held
