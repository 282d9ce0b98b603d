"""Copying: all records of one database into another that is empty, whichever their engines."""

from functools import partial
from pathlib import Path

from machine_monitor.database import addresses
from machine_monitor.database.addresses import Address
from machine_monitor.database.connect import Database
from machine_monitor.database.engines.sqlite import files
from machine_monitor.database.schema import migrations
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import UsageError
from machine_monitor.services.backup import transfer
from machine_monitor.services.backup.transfer import Contents, Progress


def copy(source: Database, destination: Address, progress: Progress) -> Contents:
    """Copy what the source holds at this moment; raises `UsageError` and leaves the destination empty if it cannot."""
    refuse_occupied(destination)
    transfer.refuse_strange(source.address)
    return source.snapshot(partial(_copy, destination, progress))


def refuse_occupied(destination: Address) -> None:
    """Raise `UsageError` unless a database can begin there."""
    migrations.refuse_occupied(destination)
    if destination.path is not None and (beside := files.leftovers(destination.path)):
        raise UsageError(f"{beside[0]} belongs to a database that is not there any more: move it away first.")


def _copy(destination: Address, progress: Progress, source: Transaction) -> Contents:
    transfer.refuse_other_schema(source)
    if destination.path is None:
        return Database(destination).set_up(lambda tx: transfer.transfer(source, tx, progress))
    with files.staging(destination.path) as made:
        held = Database(addresses.of_file(made)).set_up(lambda tx: transfer.transfer(source, tx, progress))
        publish(made, destination, destination.path)
    return held


def publish(made: Path, destination: Address, path: Path) -> None:
    """Move a finished file to the path of an address, where there must be no database."""
    files.finish(made, "wal")
    refuse_occupied(destination)
    files.replace_atomically(made, path)
