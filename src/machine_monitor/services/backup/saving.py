"""Back up a snapshot of the whole database to one SQLite file, with a manifest beside it."""

from functools import partial
from pathlib import Path

from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.engines.sqlite import files
from machine_monitor.database.schema import migrations
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import UsageError
from machine_monitor.services.audit import hash_chain, sealing
from machine_monitor.services.backup import manifest, transfer
from machine_monitor.services.backup.manifest import Manifest
from machine_monitor.services.backup.transfer import Progress
from machine_monitor.services.checks import last_backup
from machine_monitor.services.checks.last_backup import LastBackup
from machine_monitor.services.files import upkeep
from machine_monitor.services.files.store import FolderStore
from machine_monitor.services.files.upkeep import CopiedFiles


def save(
    database: Database, target: Path, *, replace: bool, progress: Progress, store: FolderStore | None = None
) -> Manifest:
    """Write a backup; it appears under its name only when it is complete, verified and durable.

    The attachments are copied to the folder `FILE.files` beside it, where each is once: a second backup adds new ones.
    Those that the newest other backup in the same folder has are hard links to its files.

    Other connections can write meanwhile. If the database is writable, it also records when the backup was made.
    """
    migrations.require_head(database.url)
    own = database.url.path
    for path in (target, manifest.path_of(target)):
        _check_target(path, own, replace=replace)
    sealing.seal_and_add_now(database)
    with files.staging(target) as staged:
        head = database.snapshot(partial(_fill, staged, progress))
        files.finalize(staged, journal="delete")
        check = partial(transfer.contents, progress=progress)
        contents = Database(database_urls.for_file(staged)).snapshot(check)
        if contents.head != head:
            raise UsageError(f"The copy's history ends at {contents.head}, not at {head}: nothing was written.")
        copied = _copy_files(store, staged, target, progress)
        backup_manifest = manifest.describe(staged, database.engine.name, contents, copied)
        staged_manifest = manifest.path_of(staged)
        manifest.write(backup_manifest, staged_manifest)
        # Rename the backup last: a backup under its final name then always has a manifest.
        files.replace_atomically(staged_manifest, manifest.path_of(target))
        files.replace_atomically(staged, target)
    last_backup.write(database, LastBackup(backup_manifest.created_at, backup_manifest.size))
    return backup_manifest


def _copy_files(store: FolderStore | None, staged: Path, target: Path, progress: Progress) -> CopiedFiles:
    """Copy the files that the rows of a backup name."""
    digests = Database(database_urls.for_file(staged)).snapshot(upkeep.referenced_digests)
    if store is None:
        return CopiedFiles(missing=digests)
    older = manifest.newest_files_beside(target)
    return upkeep.copy_files(store, manifest.files_of(target), digests, progress, older)


def _check_target(path: Path, own: Path | None, *, replace: bool) -> None:
    if own is not None and path.exists() and path.samefile(own):
        raise UsageError(f"{path} is the database itself. Choose another file.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file.")
    if path.exists() and not replace:
        raise UsageError(f"{path} already exists: use --force to overwrite a backup.")


def _fill(staged: Path, progress: Progress, tx: Transaction) -> str:
    head = str(hash_chain.head(tx))
    transfer.require_unchanged_schema(tx)
    if not tx.engine.copy_to_file(tx.cursor, staged, progress):
        Database(database_urls.for_file(staged)).create_schema(lambda copy: transfer.transfer(tx, copy, progress))
    return head
