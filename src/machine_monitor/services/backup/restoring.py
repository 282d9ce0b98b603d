"""Restore a backup into an empty database, after it was checked against its manifest and its own history.

A manifest has no signature: anyone who changes a backup can also write a new manifest. The history still shows the
change.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import gettempdir

from machine_monitor.database import database_urls, schema
from machine_monitor.database.connect import Database
from machine_monitor.database.database_urls import DatabaseUrl
from machine_monitor.database.engines.sqlite import files
from machine_monitor.database.schema import migrations, objects
from machine_monitor.database.schema.objects import Difference
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import UsageError
from machine_monitor.models import METADATA
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.backup import copying, manifest, transfer
from machine_monitor.services.backup.copying import Stores
from machine_monitor.services.backup.manifest import Manifest
from machine_monitor.services.backup.transfer import Contents, Progress
from machine_monitor.services.files import upkeep
from machine_monitor.services.files.store import FolderStore
from machine_monitor.services.files.upkeep import CopiedFiles


def restore(
    file: Path,
    destination: DatabaseUrl,
    progress: Progress,
    *,
    accept_differences: bool = False,
    store: FolderStore | None = None,
) -> Contents:
    """Restore a backup and migrate it to this version's schema; on failure raise an error and change no record.

    A backup that differs from its history, or lacks files, is refused, unless `accept_differences` or its manifest
    says so.
    """
    expected = manifest.read(file)
    copying.require_empty(destination)
    path = destination.path
    # Work on a copy: SQLite writes sidecar files beside the file it opens, and a migration changes it.
    with files.staging(path or Path(gettempdir()) / file.name) as staged:
        _fetch(file, staged, expected)
        contents = _migrate(file, staged, expected, progress)
        if contents.faults != expected.faults and not accept_differences:
            advice = "Nothing was restored. To restore it as it is, add --accept-differences."
            raise UsageError(f"{_refusal(file, contents.faults, expected)}\n{advice}")
        copied = _copy_files(file, staged, store, progress)
        if {*copied.missing} - {*expected.missing_files} and not accept_differences:
            advice = "Nothing was restored. To restore it without them, add --accept-differences."
            raise UsageError(f"{copied.faults[0]}\n{advice}")
        contents = replace(contents, files=copied)
        differing = Database(database_urls.for_file(staged)).snapshot(_schema_differences)
        if path is not None and not differing:
            copying.publish(staged, destination, path)
            return contents
        # Row by row into a new schema: it gets no trigger or view that somebody added.
        files.finalize(staged, journal="wal")
        restored = copying.copy_snapshot(Database(database_urls.for_file(staged)), destination, progress)
        return replace(
            restored, files=copied, not_restored=[each.sentence for each in differing if not each.is_missing]
        )


def _copy_files(file: Path, staged: Path, store: FolderStore | None, progress: Progress) -> CopiedFiles:
    """Copy the files that the rows of a backup name into the store, before any row names them there."""
    digests = Database(database_urls.for_file(staged)).snapshot(upkeep.referenced_digests)
    return Stores(manifest.files_of(file), store).copy(digests, progress)


def _fetch(file: Path, staged: Path, expected: Manifest) -> None:
    try:
        shutil.copyfile(file, staged)
    except FileNotFoundError:
        raise UsageError(f"There is no backup at {file}.") from None
    if (staged.stat().st_size, manifest.digest(staged)) != (expected.size, expected.sha256):
        raise UsageError(f"{file} does not match the checksum in its manifest: it was truncated or changed.")


def _migrate(file: Path, staged: Path, expected: Manifest, progress: Progress) -> Contents:
    """Migrate the copy of a backup to this version's schema; return its contents, checked against the manifest."""
    url = database_urls.for_file(staged)
    revision = migrations.current_revision(url)
    if revision != schema.head_revision():
        migrations.upgrade(url)
    contents = Database(url).snapshot(
        partial(transfer.contents, progress=progress, expected=hash_chain.parse_head(expected.head))
    )
    # Compare rows and head only without a migration: it may add rows and history entries.
    same = revision == expected.schema and (
        revision != schema.head_revision() or (contents.tables, contents.head) == (expected.tables, expected.head)
    )
    if not same:
        raise UsageError(_refusal(file, contents.faults, expected))
    return contents


def _schema_differences(tx: Transaction) -> list[Difference]:
    return objects.find_differences(tx.engine, tx.cursor, METADATA)


def _refusal(file: Path, faults: Sequence[str], expected: Manifest) -> str:
    """Return the message that refuses a backup; it lists the faults that its manifest does not have."""
    unknown = [fault for fault in faults if fault not in expected.faults]
    return "\n".join([f"{file} does not match its manifest.", *unknown])
