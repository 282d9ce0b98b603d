"""Back up a snapshot of the whole database to one SQLite file, with a manifest beside it."""

from functools import partial
from pathlib import Path

from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.engines.sqlite import files
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import UsageError
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.backup import last_backup, manifest, transfer
from machine_monitor.services.backup.last_backup import LastBackup
from machine_monitor.services.backup.manifest import Manifest
from machine_monitor.services.backup.transfer import Progress


def save(database: Database, target: Path, *, replace: bool, progress: Progress) -> Manifest:
    """Write a backup; it appears under its name only when it is complete, verified and durable.

    Other connections can write meanwhile. If the database is writable, it also records when the backup was made.
    """
    transfer.require_current_schema(database.url)
    own = database.url.path
    for path in (target, manifest.path_of(target)):
        if own is not None and path.exists() and path.samefile(own):
            raise UsageError(f"{path} is the database itself. Choose another file.")
        if path.is_dir() or (path.exists() and not replace):
            raise UsageError(f"{path} exists already. Use --force to replace a backup.")
    with files.staging(target) as staged:
        head = database.snapshot(partial(_fill, staged, progress))
        files.finalize(staged, "delete")
        check = partial(transfer.contents, progress=progress)
        contents = Database(database_urls.for_file(staged)).snapshot(check)
        if contents.head != head:
            raise UsageError(f"The copy's history ends at {contents.head}, not at {head}: nothing was written.")
        described = manifest.describe(staged, database.engine.name, contents)
        staged_manifest = manifest.path_of(staged)
        manifest.write(described, staged_manifest)
        # Move the backup last: if it exists, its manifest exists too.
        files.replace_atomically(staged_manifest, manifest.path_of(target))
        files.replace_atomically(staged, target)
    last_backup.write(database, LastBackup(described.created_at, described.size))
    return described


def _fill(staged: Path, progress: Progress, tx: Transaction) -> str:
    head = str(hash_chain.head(tx))
    transfer.require_unchanged_schema(tx)
    if not tx.engine.copy_to_file(tx.cursor, staged, progress):
        Database(database_urls.for_file(staged)).create_schema(lambda copy: transfer.transfer(tx, copy, progress))
    return head
