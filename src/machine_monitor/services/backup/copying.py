"""Copy all records of a database into an empty one, of the same or the other engine."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.database_urls import DatabaseUrl
from machine_monitor.database.engines.sqlite import files, lock_file
from machine_monitor.database.schema import migrations
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import UsageError
from machine_monitor.services.audit import sealing
from machine_monitor.services.backup import transfer
from machine_monitor.services.backup.transfer import Contents, Progress
from machine_monitor.services.files import upkeep
from machine_monitor.services.files.store import FolderStore
from machine_monitor.services.files.upkeep import CopiedFiles

NAME_A_FOLDER = "Name a folder of its own: `mm copy` takes it from --files, `mm restore` from MM_FILES."


class Stores(NamedTuple):
    """The stores of the files of two databases; None if a database has none."""

    source: FolderStore | None
    destination: FolderStore | None

    def copy(self, digests: Sequence[str], progress: Progress) -> CopiedFiles:
        """Copy these files; raises `UsageError` if there is no store for them."""
        if not digests:
            return CopiedFiles()
        if self.source is None:
            return CopiedFiles(missing=[*digests])
        if self.destination is None:
            raise UsageError(f"There are {len(digests)} attachments, and no folder for them. {NAME_A_FOLDER}")
        if self.source.folder.resolve() == self.destination.folder.resolve():
            message = "Two databases cannot share the folder of their attachments: each would prune those of the other."
            raise UsageError(f"{message} {NAME_A_FOLDER}")
        return upkeep.copy_files(self.source, self.destination, digests, progress)


NO_STORES = Stores(None, None)


def copy(source: Database, destination: DatabaseUrl, progress: Progress, stores: Stores = NO_STORES) -> Contents:
    """Copy a database that may be in use; on failure raise `UsageError` and leave the destination empty."""
    migrations.require_head(source.url)
    sealing.seal_and_add_now(source)
    return copy_snapshot(source, destination, progress, stores)


def copy_snapshot(
    source: Database, destination: DatabaseUrl, progress: Progress, stores: Stores = NO_STORES
) -> Contents:
    """Copy a snapshot, and write nothing to the source; on failure do as `copy`."""
    require_empty(destination)
    migrations.require_head(source.url)
    # The files first: a row never names bytes that are not there. One that is added meanwhile is copied at the end.
    stores.copy(source.snapshot(upkeep.referenced_digests), progress)
    contents, digests = source.snapshot(lambda tx: (_copy(destination, progress, tx), upkeep.referenced_digests(tx)))
    return replace(contents, files=stores.copy(digests, progress))


def require_empty(destination: DatabaseUrl) -> None:
    """Raise `UsageError` unless the destination is empty, has no stale sidecar files, and no service uses it."""
    if destination.path is not None:
        with lock_file.exclude_services(destination.path):
            pass
    _require_empty(destination)


def _require_empty(destination: DatabaseUrl) -> None:
    migrations.require_empty(destination)
    if destination.path is not None and (stale := files.stale_sidecars(destination.path)):
        raise UsageError(f"{stale[0]} belongs to a database file that no longer exists. Move it away first.")


def _copy(destination: DatabaseUrl, progress: Progress, source: Transaction) -> Contents:
    transfer.require_unchanged_schema(source)
    if destination.path is None:
        return Database(destination).create_schema(lambda tx: transfer.transfer(source, tx, progress))
    with files.staging(destination.path) as staged:
        contents = Database(database_urls.for_file(staged)).create_schema(
            lambda tx: transfer.transfer(source, tx, progress)
        )
        publish(staged, destination, destination.path)
    return contents


def publish(staged: Path, destination: DatabaseUrl, path: Path) -> None:
    """Move a finished file to the path of the destination, which must be empty."""
    files.finalize(staged, journal="wal")
    with lock_file.exclude_services(path):
        _require_empty(destination)
        files.replace_atomically(staged, path)
