"""Saving: the whole database as of one moment, in one file with a manifest beside it."""

from functools import partial
from pathlib import Path

from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.engines.sqlite import files
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import UsageError
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.backup import manifest, transfer
from machine_monitor.services.backup.manifest import Manifest
from machine_monitor.services.backup.transfer import Progress

# A backup holds what sessions and passwords are checked against.
PRIVATE = 0o600


def save(database: Database, target: Path, *, replace: bool, progress: Progress) -> Manifest:
    """Write a backup, which appears when it is complete, checked and on disk; writers may go on meanwhile."""
    transfer.require_current_schema(database.url)
    own = database.url.path
    for path in (target, manifest.path_of(target)):
        if own is not None and path.exists() and path.samefile(own):
            raise UsageError(f"{path} is the database itself: name another file.")
        if path.is_dir() or (path.exists() and not replace):
            raise UsageError(f"{path} is there already: say --force to replace a backup.")
    with files.staging(target) as made:
        head = database.snapshot(partial(_fill, made, progress))
        files.finalize(made, "delete")
        held = Database(database_urls.for_file(made)).snapshot(partial(transfer.contents, progress=progress))
        if held.head != head:
            raise UsageError(f"The copy's history ends at {held.head}, not at {head}: nothing was written.")
        described = manifest.describe(made, database.engine.name, held)
        beside = manifest.path_of(made)
        manifest.write(described, beside)
        for path in (beside, made):
            path.chmod(PRIVATE)
        # The backup last: where it is, its manifest is too.
        files.replace_atomically(beside, manifest.path_of(target))
        files.replace_atomically(made, target)
    return described


def _fill(made: Path, progress: Progress, tx: Transaction) -> str:
    head = str(hash_chain.head(tx))
    transfer.require_unchanged_schema(tx)
    if not tx.engine.copy_to_file(tx.cursor, made, progress):
        Database(database_urls.for_file(made)).create_schema(lambda copy: transfer.transfer(tx, copy, progress))
    return head
