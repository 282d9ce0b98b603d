"""Copying: all records of one database into another that is empty, whichever their engines."""

from functools import partial
from pathlib import Path

from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.database_urls import DatabaseUrl
from machine_monitor.database.engines.sqlite import files
from machine_monitor.database.schema import migrations
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import UsageError
from machine_monitor.services.backup import transfer
from machine_monitor.services.backup.transfer import Contents, Progress


def copy(source: Database, destination: DatabaseUrl, progress: Progress) -> Contents:
    """Copy what the source holds at this moment; raises `UsageError` and leaves the destination empty if it cannot."""
    require_empty(destination)
    transfer.require_current_schema(source.url)
    return source.snapshot(partial(_copy, destination, progress))


def require_empty(destination: DatabaseUrl) -> None:
    """Raise `UsageError` unless a database can begin there."""
    migrations.require_empty(destination)
    if destination.path is not None and (beside := files.stale_sidecars(destination.path)):
        raise UsageError(f"{beside[0]} belongs to a database that is not there any more: move it away first.")


def _copy(destination: DatabaseUrl, progress: Progress, source: Transaction) -> Contents:
    transfer.require_unchanged_schema(source)
    if destination.path is None:
        return Database(destination).create_schema(lambda tx: transfer.transfer(source, tx, progress))
    with files.staging(destination.path) as made:
        held = Database(database_urls.for_file(made)).create_schema(lambda tx: transfer.transfer(source, tx, progress))
        publish(made, destination, destination.path)
    return held


def publish(made: Path, destination: DatabaseUrl, path: Path) -> None:
    """Move a finished file to the path of a URL, where there must be no database."""
    files.finalize(made, "wal")
    require_empty(destination)
    files.replace_atomically(made, path)
