"""Compare the file store with the database: find missing and damaged files, and delete files without an attachment."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import file_digest

from sqlalchemy import bindparam, exists, select, union

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import CODE
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.services.files.attachments import ATTACHABLE, LIST
from machine_monitor.services.files.store import FileStore, FolderStore, StoredFile

Progress = Callable[[int, int], None]
# Files that one transaction removes: others can write between two of them.
BATCH = 100
PIECE_BYTES = 1024 * 1024
MAX_LISTED = 20


@dataclass
class Inventory:
    """What `mm verify --files` has found: digests that are missing or damaged, and files without an attachment."""

    files: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """A sentence for each file that is missing or damaged."""
        sentences = [f"The file {digest} is missing." for digest in self.missing]
        sentences += [f"The file {digest} was changed: its bytes have another digest." for digest in self.damaged]
        more = len(sentences) - MAX_LISTED
        return sentences if more <= 0 else [*sentences[:MAX_LISTED], f"{more} more files are missing or were changed."]

    @property
    def notes(self) -> list[str]:
        """What is not wrong, but should be known."""
        count = f"Files read: {self.files} ({self.bytes:,} bytes)."
        if not self.orphaned:
            return [count]
        listed = ", ".join(self.orphaned[:3]) + (", ..." if len(self.orphaned) > 3 else "")
        orphaned = f"Files without an attachment: {len(self.orphaned)} ({listed})."
        return [count, f"{orphaned} `mm files prune` removes old ones."]


def referenced_digests(tx: Transaction) -> list[str]:
    """Return the digests of all attachments, those of deleted records too, each once and in order."""
    return [row[0] for row in tx.execute(_digests_statement(tx.engine), {})]


def take_inventory(database: Database, store: FileStore | None, progress: Progress = lambda *_: None) -> Inventory:
    """Read every file and compare its digest with its name, and the files with the attachments."""
    # List the files before the attachments: otherwise a file that is added in between would look orphaned.
    existing = set() if store is None else {file.digest for file in store.files()}
    referenced, inventory = database.snapshot(referenced_digests), Inventory()
    if store is None:
        inventory.missing = referenced
        return inventory
    for done, digest in enumerate(referenced, 1):
        size = _intact_size(store, digest)
        if size is None:
            inventory.missing.append(digest)
        elif size < 0:
            inventory.damaged.append(digest)
        else:
            inventory.files += 1
            inventory.bytes += size
        progress(done, len(referenced))
    inventory.orphaned = sorted(existing - {*referenced})
    return inventory


def _intact_size(store: FileStore, digest: str) -> int | None:
    """Return the size of a file; None if it is missing, -1 if its bytes have another digest."""
    try:
        with store.open(digest) as file:
            return file.tell() if file_digest(file, "sha256").hexdigest() == digest else -1
    except (FileNotFoundError, ValueError):
        return None


@dataclass
class CopiedFiles:
    """What a copy of files did: how many are in the target, how many of them are new, and what could not be copied."""

    files: int = 0
    bytes: int = 0
    new: int = 0
    missing: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """A sentence about what could not be copied."""
        if not self.missing:
            return []
        listed = ", ".join(self.missing[:MAX_LISTED]) + (", ..." if len(self.missing) > MAX_LISTED else "")
        return [f"{len(self.missing)} files are missing or damaged, and were not copied: {listed}."]


def copy_files(
    source: FileStore,
    target: FolderStore,
    digests: Sequence[str],
    progress: Progress,
    older: FolderStore | None = None,
) -> CopiedFiles:
    """Copy these files, unless the target has them. Each is compared with its digest on the way.

    A file that `older` has is not copied but linked to it, if the file system can do so.
    """
    copied = CopiedFiles()
    for done, digest in enumerate(digests, 1):
        copy = target.find(digest)
        original = source.find(digest)
        if copy is None or (original is not None and copy.size != original.size):
            copied.new += 1
            copy = _link_file(older, target, digest) or _copy_file(source, target, digest)
        if copy is None:
            copied.new -= 1
            copied.missing.append(digest)
        else:
            copied.files += 1
            copied.bytes += copy.size
        progress(done, len(digests))
    return copied


def _link_file(older: FolderStore | None, target: FolderStore, digest: str) -> StoredFile | None:
    if older is None or _intact_size(older, digest) in (None, -1) or not target.link_from(older, digest):
        return None
    return target.find(digest)


def _copy_file(source: FileStore, target: FileStore, digest: str) -> StoredFile | None:
    try:
        file = source.open(digest)
    except FileNotFoundError:
        return None
    with file:
        incoming = target.receive()
        try:
            while piece := file.read(PIECE_BYTES):
                incoming.write(piece)
            if incoming.seal() != digest:
                return None
            incoming.keep()
        finally:
            incoming.discard()
    return target.find(digest)


def prune(database: Database, store: FolderStore, added_before: float, *, dry_run: bool = False) -> list[StoredFile]:
    """Remove files without an attachment that were last added before this time; return them.

    Also removes what interrupted uploads have left, and previews whose original is gone.
    """
    referenced = {*database.snapshot(referenced_digests)}
    old = [file for file in store.files() if file.added < added_before and file.digest not in referenced]
    if dry_run:
        return old
    removed = []
    for start in range(0, len(old), BATCH):
        digests = [file.digest for file in old[start : start + BATCH]]
        removed += database.transact(remover(store, digests, added_before))
    for path in (*store.stale_parts(), *store.orphaned_previews()):
        path.unlink(missing_ok=True)
    return removed


def remover(
    store: FileStore, digests: Sequence[str], added_before: float = float("inf")
) -> Callable[[Transaction], list[StoredFile]]:
    """Return a unit of work that removes those of these files that have no attachment; it returns them."""

    def remove(tx: Transaction) -> list[StoredFile]:
        # No upload adds an attachment of these files between here and the commit; see `attachments.rows_of`.
        tx.acquire_files_lock()
        return [*_remove_orphans(tx, store, digests, added_before)]

    return remove


def _remove_orphans(
    tx: Transaction, store: FileStore, digests: Sequence[str], added_before: float
) -> Iterator[StoredFile]:
    for digest in digests:
        file = store.find(digest)
        if file is not None and file.added < added_before and not _is_referenced(tx, digest):
            store.remove(digest)
            yield file


def _is_referenced(tx: Transaction, digest: str) -> bool:
    return bool(tx.execute(_is_referenced_statement(tx.engine), {"digest": digest})[0][0])


@cache
def _digests_statement(engine: Engine) -> Statement:
    digests = union(*(select(resource.child_lists[LIST].table.c.sha256) for resource in ATTACHABLE)).subquery()
    return compile_statement(engine, select(digests.c.sha256).order_by(digests.c.sha256))


@cache
def _is_referenced_statement(engine: Engine) -> Statement:
    tables = [resource.child_lists[LIST].table for resource in ATTACHABLE]
    digest = bindparam("digest", type_=CODE.column_type)
    condition = exists().where(tables[0].c.sha256 == digest)
    for table in tables[1:]:
        condition |= exists().where(table.c.sha256 == digest)
    return compile_statement(engine, select(condition))
