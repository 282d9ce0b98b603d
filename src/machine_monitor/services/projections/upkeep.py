"""Upkeep of what is derived: set up with the database, made again where it was made by other rules."""

import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, delete, func, insert, select

from machine_monitor.database import schema
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import CODE
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import SchemaMismatch
from machine_monitor.models import DERIVED, RESOURCES
from machine_monitor.query.schema import Resource
from machine_monitor.services.checks import health
from machine_monitor.services.projections import counters, search_index
from machine_monitor.services.records import storage

Progress = Callable[[int, int], None]
UNICODE = "unicode"
WRITTEN_AT_ONCE = 5_000


def prepare(database: Database, wanted: ZoneInfo | None = None) -> None:
    """Set up an empty database, and make again what was derived by other rules; raises `SchemaMismatch`.

    A new database counts in the zone `wanted`; one that is there goes on in its own.
    """
    if not _has_schema(database):
        from machine_monitor.database.schema import (  # noqa: PLC0415 -- a running service need not carry Alembic
            migrations,
        )

        new = migrations.current(database.address) is None
        migrations.prepare(database.address)
        if new and wanted is not None:
            counters.refresh(database, wanted)
    database.snapshot(require_columns)
    refresh(database)


def _has_schema(database: Database) -> bool:
    """Whether the database has the code's schema; false if that cannot be found out."""
    if not database.address.exists:
        return False
    try:
        rows = database.snapshot(lambda tx: tx.run(health.revision(tx.engine), {}))
    except Exception:  # noqa: BLE001 -- the caller looks closer, and raises it
        return False
    return [tuple(row) for row in rows] == [(schema.newest(),)]


def refresh(database: Database) -> None:
    """Make the search index again if another version of Unicode folded and cut it: Python's differ."""
    if not database.snapshot(is_current):
        database.transact(lambda tx: is_current(tx) or rebuild_search(tx))


def require_columns(tx: Transaction) -> None:
    """Raise `SchemaMismatch` if the models have columns that no migration adds: any query could stumble over them.

    The revision does not tell, since a developer adds a field before its migration is written.
    """
    if advice := health.missing_migration(tx):
        raise SchemaMismatch(advice)


def is_current(tx: Transaction) -> bool:
    """Whether the texts are folded as this process folds them."""
    return _value(tx, UNICODE) == unicodedata.unidata_version


def rebuild_search(tx: Transaction, progress: Progress | None = None, *, fold: bool = True) -> None:
    """Fold, if not told otherwise, and index every record again; `progress` is told how many of how many."""
    numbers, done = {resource: _count(tx, resource) for resource in RESOURCES}, 0
    total = sum(numbers.values())
    for resource, number in numbers.items():
        tx.cursor.execute(tx.engine.index.clear.format(name=resource.name))
        if not number:
            continue
        with tx.engine.index.filling(tx.cursor, resource.name):
            for chunk in storage.chunks(tx, resource, WRITTEN_AT_ONCE):
                if fold:
                    storage.fold_again(tx, resource, chunk)
                search_index.write(tx, [search_index.entry(tx, resource, *record) for record in chunk])
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
    _set(tx, UNICODE, unicodedata.unidata_version)


def search_faults(tx: Transaction, resource: Resource) -> list[int]:
    """The ids of records for which the search index holds something else than they say."""

    def documents() -> Iterator[list[tuple[int, str]]]:
        for chunk in storage.chunks(tx, resource, WRITTEN_AT_ONCE):
            entries = [search_index.entry(tx, resource, identity, values) for identity, values in chunk]
            yield [(entry.key, entry.words) for entry in entries]

    index, follows_time = tx.engine.index, resource.search_follows_time
    keys = index.differing(tx.cursor, resource.name, documents)
    return sorted({index.id_of(key, follows_time=follows_time) for key in keys})


def _value(tx: Transaction, name: str) -> str | None:
    rows = tx.run(_read(tx.engine), {"name": name})
    return rows[0][0] if rows else None


def _set(tx: Transaction, name: str, value: str) -> None:
    tx.run(_delete(tx.engine), {"name": name})
    tx.run(_insert(tx.engine), {"name": name, "value": value})


def _count(tx: Transaction, resource: Resource) -> int:
    return tx.run(_counted(tx.engine, resource), {})[0][0]


@cache
def _read(engine: Engine) -> Statement:
    name = bindparam("name", type_=CODE.column_type)
    return compile_statement(engine, select(DERIVED.c.value).where(DERIVED.c.name == name))


@cache
def _delete(engine: Engine) -> Statement:
    return compile_statement(engine, delete(DERIVED).where(DERIVED.c.name == bindparam("name", type_=CODE.column_type)))


@cache
def _insert(engine: Engine) -> Statement:
    values = {name: bindparam(name, type_=CODE.column_type) for name in ("name", "value")}
    return compile_statement(engine, insert(DERIVED).values(values))


@cache
def _counted(engine: Engine, resource: Resource) -> Statement:
    return compile_statement(engine, select(func.count()).select_from(resource.table))
