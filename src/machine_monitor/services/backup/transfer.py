"""What a database holds, and the way from one transaction to another of either engine, compared at its end."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Table

from machine_monitor.database import schema, tables
from machine_monitor.database.database_urls import DatabaseUrl
from machine_monitor.database.tables import Row
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import SchemaMismatch, UsageError
from machine_monitor.models import METADATA, RESOURCES
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.audit.hash_chain import Head
from machine_monitor.services.checks import health
from machine_monitor.services.projections import maintenance

Progress = Callable[[int, int], None]
# Who is referred to comes before who refers.
TABLES = METADATA.sorted_tables
SHOWN_EVERY = 1_000


@dataclass(frozen=True)
class Contents:
    """What a database holds: rows by table, where its history ends, and what is wrong with that."""

    tables: dict[str, int]
    head: str
    faults: list[str]

    def document(self) -> dict[str, Any]:
        """The contents as JSON."""
        return {"tables": self.tables, "head": self.head, "faults": self.faults}


def contents(tx: Transaction, progress: Progress, known: Head | None = None) -> Contents:
    """Count the rows and go through the history; `known` is a head that it must contain."""
    counts = {table.name: tables.count(tx, table.name) for table in TABLES}
    faults = hash_chain.verify(tx, known, progress)
    return Contents(counts, str(hash_chain.head(tx)), faults)


def require_current_schema(url: DatabaseUrl) -> None:
    """Raise an error that says what to do unless the database is there and has the code's schema."""
    from machine_monitor.database.schema import migrations  # noqa: PLC0415 -- a running service need not carry Alembic

    found = migrations.current(url)
    if found is None:
        raise UsageError(f"There is no database at {url.redacted}.")
    if found != schema.head_revision():
        raise SchemaMismatch(f"{url.redacted}: {migrations.revision_advice(found)}")


def require_unchanged_schema(tx: Transaction) -> None:
    """Raise `SchemaMismatch` if the database was migrated since it was looked at, or the models are ahead of it."""
    if tx.execute(health.revision(tx.engine), {})[0][0] != schema.head_revision():
        raise SchemaMismatch("The database was migrated a moment ago: start again.")
    maintenance.require_columns(tx)


def transfer(source: Transaction, destination: Transaction, progress: Progress) -> Contents:
    """Copy every row into a database that was just set up; raises `UsageError` if anything differs at the end."""
    _empty(destination)
    total, done, differing = sum(tables.count(source, table.name) for table in TABLES), 0, []
    for table in TABLES:
        read = sha256()
        tables.write(destination, table, _shown(_digested(tables.read(source, table), read), progress, (done, total)))
        done += tables.count(source, table.name)
        if _digest(destination, table) != read.digest():
            differing.append(table.name)
    given = tables.last_ids(source, TABLES)
    tables.set_last_ids(destination, given, TABLES)
    if tables.last_ids(destination, TABLES) != given:
        differing.append("ids")
    before, after = contents(source, progress), contents(destination, progress)
    if differing or before != after:
        what = ", ".join(differing) or "the history"
        raise UsageError(f"The copy differs from what was copied ({what}), so it was taken back.")
    maintenance.rebuild_search(destination, progress, fold=not maintenance.is_unicode_current(destination))
    destination.cursor.execute("ANALYZE")
    return after


def _empty(tx: Transaction) -> None:
    """Remove what a new database is shipped with."""
    for resource in RESOURCES:
        tx.cursor.execute(tx.engine.fulltext.clear.format(name=resource.name))
    tables.clear(tx, reversed(TABLES))


def _digest(tx: Transaction, table: Table) -> bytes:
    digest = sha256()
    deque(_digested(tables.read(tx, table), digest), maxlen=0)
    return digest.digest()


def _digested(given: Iterable[Row], digest: Any) -> Iterator[Row]:
    for row in given:
        digest.update(repr(row).encode())
        yield row


def _shown(given: Iterable[Row], progress: Progress, reached: tuple[int, int]) -> Iterator[Row]:
    before, total = reached
    for done, row in enumerate(given, before + 1):
        yield row
        if done % SHOWN_EVERY == 0 or done == total:
            progress(done, total)
