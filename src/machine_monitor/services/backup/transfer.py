"""Transfer all rows from one transaction to another, of the same or the other engine, and compare them at the end."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy import Table

from machine_monitor.database import schema, tables
from machine_monitor.database.tables import Row
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import SchemaMismatch, UsageError
from machine_monitor.models import LOGS, METADATA, RESOURCES
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.audit.hash_chain import Head
from machine_monitor.services.checks import comparison, health
from machine_monitor.services.files.upkeep import CopiedFiles
from machine_monitor.services.projections import maintenance

Progress = Callable[[int, int], None]
# Sorted so that a table comes after the tables that it references.
TABLES = METADATA.sorted_tables
PROGRESS_INTERVAL = 1_000
TOO_MANY_LOGS = (
    "An SQLite file has room for {:,} logs, deleted ones included, and this database has given out the id {:,}. "
    "Copy it to PostgreSQL with `mm copy`, or back it up with pg_dump."
)


@dataclass(frozen=True)
class Contents:
    """The contents of a database: rows by table, the head of its hash chain, and where it differs from its history.

    `not_restored` says what in the schema of a backup is not in the restored database, because it is not the code's.
    `files` are the attachments that were copied.
    """

    tables: dict[str, int]
    head: str
    faults: list[str]
    not_restored: list[str] = field(default_factory=list)
    files: CopiedFiles = field(default_factory=CopiedFiles)

    def to_dict(self) -> dict[str, Any]:
        """Return the contents as a JSON object."""
        return asdict(self)


def contents(tx: Transaction, progress: Progress, expected: Head | None = None) -> Contents:
    """Count the rows, verify the hash chain, and compare the records with it; it must contain the head `expected`."""
    counts = {table.name: tables.count(tx, table.name) for table in TABLES}
    faults = hash_chain.verify(tx, expected, progress) + comparison.find_faults(tx, RESOURCES, progress)
    return Contents(counts, str(hash_chain.head(tx)), faults)


def require_unchanged_schema(tx: Transaction) -> None:
    """Raise `SchemaMismatch` if the database was migrated meanwhile, or lacks columns of the models."""
    if tx.execute(health.revision(tx.engine), {})[0][0] != schema.head_revision():
        raise SchemaMismatch("The database was migrated meanwhile. Run the command again.")
    maintenance.require_columns(tx)


def transfer(source: Transaction, destination: Transaction, progress: Progress) -> Contents:
    """Copy every row into a new database; raises `UsageError` if anything differs at the end."""
    last_ids = tables.last_ids(source, TABLES)
    if destination.engine.max_id is not None and last_ids[LOGS.name] > destination.engine.max_id:
        raise UsageError(TOO_MANY_LOGS.format(destination.engine.max_id, last_ids[LOGS.name]))
    _empty(destination)
    total, done, differing = sum(tables.count(source, table.name) for table in TABLES), 0, []
    for table in TABLES:
        source_digest = sha256()
        tables.write(
            destination,
            table,
            _report_progress(_feed_digest(tables.read(source, table), source_digest), progress, (done, total)),
        )
        done += tables.count(source, table.name)
        if _digest(destination, table) != source_digest.digest():
            differing.append(table.name)
    tables.set_last_ids(destination, last_ids, TABLES)
    if tables.last_ids(destination, TABLES) != last_ids:
        differing.append("ids")
    before, after = contents(source, progress), contents(destination, progress)
    if differing or before != after:
        what = ", ".join(differing) or "the history"
        raise UsageError(f"The copy differs from the source ({what}) and was rolled back.")
    maintenance.rebuild_search(destination, progress, fold=not maintenance.is_search_current(destination))
    destination.cursor.execute("ANALYZE")
    return after


def _empty(tx: Transaction) -> None:
    """Delete the rows that migrations create in a new database."""
    for resource in RESOURCES:
        tx.cursor.execute(tx.engine.fulltext.clear.format(name=resource.name))
    tables.clear(tx, reversed(TABLES))


def _digest(tx: Transaction, table: Table) -> bytes:
    digest = sha256()
    deque(_feed_digest(tables.read(tx, table), digest), maxlen=0)
    return digest.digest()


def _feed_digest(rows: Iterable[Row], digest: Any) -> Iterator[Row]:
    """Yield the rows, and add each to the digest."""
    for row in rows:
        digest.update(repr(row).encode())
        yield row


def _report_progress(rows: Iterable[Row], progress: Progress, reached: tuple[int, int]) -> Iterator[Row]:
    before, total = reached
    for done, row in enumerate(rows, before + 1):
        yield row
        if done % PROGRESS_INTERVAL == 0 or done == total:
            progress(done, total)
