"""Builds the database files: once for each number of logs, through the product's own writes; later runs reuse them."""

import gc
import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.options import MAX_WRITE_ROWS, Options
from machine_monitor.database import schema
from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import LOGS, MACHINES, USERS
from machine_monitor.models.accounts.token import Token
from machine_monitor.services import records
from machine_monitor.services.accounts import generated_secrets
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.projections import maintenance
from machine_monitor.services.records import references
from machine_monitor.services.records.storage import NewRecord

BATCH = 10_000
# Queries for the name and definition of each index on the tables that grow with the number of logs.
INDEXES = {
    "sqlite": """SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql LIKE 'CREATE INDEX%'
        AND tbl_name IN ('logs', 'history')""",
    "postgresql": """SELECT indexname, indexdef FROM pg_indexes WHERE indexdef LIKE 'CREATE INDEX%'
        AND tablename IN ('logs', 'history', 'logs_search')""",
}
NAMELESS = {"first_name": None, "last_name": None}


def sqlite_file(options: Options, rows: int) -> Path:
    """Return the file with `rows` logs. It is built unless a file with the same seed and schema exists."""
    path = options.folder / f"logs-{rows}.db"
    grown = rows <= MAX_WRITE_ROWS
    expected = manifest(rows) | {"grown": grown}
    note = path.with_suffix(".json")
    if path.is_file() and note.is_file() and json.loads(note.read_text())["of"] == expected:
        return path
    options.folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.db")
    for old in (note, path, *path.parent.glob(f"{path.name}-*"), *partial.parent.glob(f"{partial.name}*")):
        old.unlink(missing_ok=True)
    seconds = fill(f"sqlite:///{partial}", rows, grown=grown)
    with closing(sqlite3.connect(partial)) as connection:
        connection.execute("ANALYZE")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    partial.rename(path)
    note.write_text(json.dumps({"of": expected, "seconds": round(seconds), "bytes": path.stat().st_size}))
    return path


def fill(url: str, rows: int, *, grown: bool = False) -> float:
    """Migrate an empty database, write all records to it, and return the seconds that the logs took.

    With `grown`, all indexes exist from the first log on, as in a database in production. That takes longer. An index
    that is created at the end has full pages, and the first writes afterwards have to split each page that they change.
    """
    database = Database(url)
    maintenance.prepare_database(database)
    database.transact(_write_plant)
    # There are no reference cycles here, and searching for them takes a sixth of the time.
    gc.disable()
    source, done, start = data.logs(rows), 0, time.perf_counter()
    with nullcontext() if grown else _indexes_created_at_the_end(database):
        while batch := list(islice(source, BATCH)):
            context = ChangeContext("bench", at=max(log["started_at"] for log in batch))
            database.transact(lambda tx, batch=batch, context=context: insert_logs(tx, batch, context))
            done += len(batch)
            _print_progress(done, rows, time.perf_counter() - start)
    gc.enable()
    database.close_writer()
    return time.perf_counter() - start


@contextmanager
def _indexes_created_at_the_end(database: Database) -> Iterator[None]:
    """Drop all indexes that are not unique, and create them again at the end: that is faster than updating them."""
    indexes = database.snapshot(lambda tx: tx.cursor.execute(INDEXES[tx.engine.name]).fetchall())
    database.transact(lambda tx: [tx.cursor.execute(f"DROP INDEX {name}") for name, _ in indexes])
    yield
    for name, definition in indexes:
        sys.stderr.write(f"{name} ...\n")
        database.transact(lambda tx, definition=definition: tx.cursor.execute(definition))


def insert_logs(tx: Transaction, logs: Sequence[dict[str, Any]], context: ChangeContext) -> None:
    """Insert a batch of logs, with history, search index and counters."""
    new_records = []
    for values in logs:
        resolved = references.resolve(tx, LOGS, values)
        new_records.append(NewRecord({**values, **resolved.names}, resolved.columns))
    records.insert_all(tx, LOGS, new_records, context)


@contextmanager
def temporary_copy(path: Path) -> Iterator[Path]:
    """Copy a file for a write benchmark; the copy is deleted at the end."""
    folder = path.parent / "copies"
    folder.mkdir(exist_ok=True)
    copy = folder / path.name
    number = 0
    while copy.exists():
        number += 1
        copy = folder / f"{number}-{path.name}"
    shutil.copyfile(path, copy)
    # Otherwise the first checkpoint would wait until the disk has written the whole copy, during the measurement.
    with copy.open("rb+") as written:
        os.fsync(written.fileno())
    try:
        yield copy
    finally:
        for part in folder.glob(f"{copy.name}*"):
            part.unlink()


def _write_plant(tx: Transaction) -> None:
    context = ChangeContext("bench", at=data.text_of(data.START))
    for resource, rows in ((USERS, data.users()), (MACHINES, data.machines())):
        for values in rows:
            records.insert(tx, resource, values, context)
    records.insert(tx, USERS, {"trigram": "bench", "role": "admin", "active": True, **NAMELESS}, context)
    names = {"name": "bench", "name_folded": "bench", "user": "bench"}
    created, expires = (datetime.fromtimestamp(at, UTC) for at in (data.START, data.FOREVER))
    times = {"created_at": created, "expires_at": expires}
    tx.session.add(Token(id=1, scope="admin", digest=generated_secrets.digest(data.SECRET), **names, **times))


def manifest(rows: int) -> dict[str, Any]:
    """Return what identifies the content of a file: the generated records, and the text of the migrations."""
    scripts = blake2b(digest_size=8)
    for script in sorted((schema.migrations_folder() / "versions").glob("*.py")):
        scripts.update(script.read_bytes())
    return {"rows": rows, "records": data.fingerprint(rows), "schema": scripts.hexdigest()}


def _print_progress(done: int, rows: int, seconds: float) -> None:
    if sys.stderr.isatty() or done % 100_000 < BATCH or done == rows:
        end = "\n" if done == rows or not sys.stderr.isatty() else ""
        sys.stderr.write(f"\r{done:,} of {rows:,} logs, {done / seconds:,.0f} a second{end}")
