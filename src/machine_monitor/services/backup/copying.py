"""Copy all records of a database into an empty one, of the same or the other engine."""

from functools import partial
from pathlib import Path

from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.database_urls import DatabaseUrl
from machine_monitor.database.engines.sqlite import files, lock_file
from machine_monitor.database.schema import migrations
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import UsageError
from machine_monitor.services.backup import transfer
from machine_monitor.services.backup.transfer import Contents, Progress


def copy(source: Database, destination: DatabaseUrl, progress: Progress) -> Contents:
    """Copy a snapshot of the source; on failure raise `UsageError` and leave the destination empty."""
    require_empty(destination)
    migrations.require_head(source.url)
    return source.snapshot(partial(_copy, destination, progress))


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
