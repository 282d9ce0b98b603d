"""Maintenance of derived data: create it with the database, and rebuild it when its rules changed.

Folded texts and the search index depend on the rules for folding and words, and on the Unicode version, which depends
on the Python version.
"""

import logging
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from zoneinfo import ZoneInfo

from sqlalchemy import Table, bindparam, delete, func, insert, select, update

from machine_monitor.database import schema, tables
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.engines.engine import DatabaseReadOnly
from machine_monitor.database.kinds import CODE
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import SchemaMismatch
from machine_monitor.models import DERIVED, HISTORY, RESOURCES, TOKENS
from machine_monitor.query.language.folding import fold as fold_text
from machine_monitor.query.schema import Resource
from machine_monitor.services.checks import health
from machine_monitor.services.projections import counters, search_index
from machine_monitor.services.records import storage

logger = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
# The name in `derived` under which the rules of the search index are stored.
SEARCH = "search"
# The version of the rules by which texts are folded and cut into words, and of what a search document holds. Raise it
# when they change: every index is then rebuilt, once.
RULES = 2
CHUNK_SIZE = 5_000
# Folded texts beside the text itself, in tables that have no table of folded texts.
FOLDED_COLUMNS = ((HISTORY.table, "note"), (TOKENS.table, "name"))


def prepare_database(database: Database, zone: ZoneInfo | None = None) -> None:
    """Create the schema if the database is empty, check it, and rebuild outdated derived data.

    `zone` is used for the counters of a new database; an existing one keeps its zone. Raises `SchemaMismatch`.
    """
    if not _has_schema(database):
        from machine_monitor.database.schema import (  # noqa: PLC0415 -- a service must not import Alembic
            migrations,
        )

        new = migrations.current_revision(database.url) is None
        migrations.ensure_schema(database.url)
        if new and zone is not None:
            counters.ensure_zone(database, zone)
    database.snapshot(require_columns)
    rebuild_if_outdated(database)


def require_current(database: Database) -> None:
    """Raise `UsageError` if there is no database, `SchemaMismatch` if it is not of this version."""
    if not _has_schema(database):
        from machine_monitor.database.schema import (  # noqa: PLC0415 -- a service must not import Alembic
            migrations,
        )

        migrations.require_head(database.url)
    database.snapshot(require_columns)


def _has_schema(database: Database) -> bool:
    """Whether the database is at the head revision; raises `DatabaseBusy` if it cannot be opened."""
    database.url.require_usable()
    if not database.url.exists:
        return False
    try:
        rows = database.snapshot(lambda tx: tx.execute(health.revision(tx.engine), {}))
    except Exception:  # noqa: BLE001 -- the caller repeats the check with a precise error
        return False
    return schema.is_head(rows)


def rebuild_if_outdated(database: Database) -> None:
    """Rebuild the search index if it was built by other rules, and the database can be written."""
    if not database.snapshot(is_search_current):
        try:
            database.transact(lambda tx: is_search_current(tx) or rebuild_search(tx))
        except DatabaseReadOnly:
            logger.warning("the search index is outdated, but the database is read-only: some words are not found")


def require_columns(tx: Transaction) -> None:
    """Raise `SchemaMismatch` if the models have columns that the database lacks.

    Comparing revisions is not enough: a developer may add a field before writing its migration.
    """
    if advice := health.missing_migration(tx):
        raise SchemaMismatch(advice)


def is_search_current(tx: Transaction) -> bool:
    """Whether the folded texts and the search index were made by this process's rules and Unicode version."""
    return _value(tx, SEARCH) == _search_rules()


def _search_rules() -> str:
    return f"rules {RULES}, Unicode {unicodedata.unidata_version}"


def rebuild_search(tx: Transaction, progress: Progress | None = None, *, fold: bool = True) -> None:
    """Rebuild the search index and, if `fold`, the folded texts; `progress` is called with (done, total)."""
    counts, done = {resource: _count(tx, resource) for resource in RESOURCES}, 0
    total = sum(counts.values())
    for resource, count in counts.items():
        tx.cursor.execute(tx.engine.fulltext.clear.format(name=resource.name))
        if not count:
            continue
        with tx.engine.fulltext.bulk_load(tx.cursor, resource.name):
            for chunk in storage.chunks(tx, resource, CHUNK_SIZE):
                if fold:
                    storage.rewrite_folded_texts(tx, resource, chunk)
                search_index.write(tx, [search_index.entry(tx, resource, *record) for record in chunk])
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
    if fold:
        for table, column in FOLDED_COLUMNS:
            _fold_column(tx, table, column)
    _set(tx, SEARCH, _search_rules())


def _fold_column(tx: Transaction, table: Table, column: str) -> None:
    """Correct the folded texts of a column. An append-only table is touched only where one differs."""
    key, text, folded = table.primary_key.columns[0], table.c[column], table.c[f"{column}_folded"]
    rows = tx.stream(compile_statement(tx.engine, select(key, text, folded).where(text.is_not(None))))
    stale = [{"key": row[0], "folded": now} for row in rows if (now := fold_text(row[1])) != row[2]]
    if stale:
        folded_now = bindparam("folded", type_=folded.type)
        correct = update(table).where(key == bindparam("key", type_=key.type)).values({folded.name: folded_now})
        with tx.engine.triggers_disabled(tx.cursor, table.name):
            tx.execute_many(compile_statement(tx.engine, correct), stale)


def find_stale_index_entries(tx: Transaction, resource: Resource) -> list[int]:
    """Return the ids of records whose search index entry does not match their values."""

    def documents() -> Iterator[list[tuple[int, str]]]:
        for chunk in storage.chunks(tx, resource, CHUNK_SIZE):
            entries = [search_index.entry(tx, resource, identity, values) for identity, values in chunk]
            yield [(entry.key, entry.words) for entry in entries]

    fulltext, follows_time = tx.engine.fulltext, resource.search_follows_time
    keys = fulltext.find_differences(tx.cursor, resource.name, documents)
    return sorted({fulltext.id_of(key, follows_time=follows_time) for key in keys})


def find_stale_folded_texts(tx: Transaction, resource: Resource) -> list[int]:
    """Return the ids of records whose folded texts, which `contains` and the like read, do not match their values."""
    if resource.folded is None:
        return []
    names = [column.name for column in resource.folded.columns]
    rows, row, stale = tables.read(tx, resource.folded), (0,), []
    for chunk in storage.chunks(tx, resource, CHUNK_SIZE):
        for identity, values in chunk:
            while row is not None and row[0] < identity:
                row = next(rows, None)
            folded = {"id": identity, **storage.folded_row(resource, values)}
            if row is None or [*row] != [folded[name] for name in names]:
                stale.append(identity)
    return stale


def _value(tx: Transaction, name: str) -> str | None:
    rows = tx.execute(_read_statement(tx.engine), {"name": name})
    return rows[0][0] if rows else None


def _set(tx: Transaction, name: str, value: str) -> None:
    tx.execute(_delete(tx.engine), {"name": name})
    tx.execute(_insert_statement(tx.engine), {"name": name, "value": value})


def _count(tx: Transaction, resource: Resource) -> int:
    return tx.execute(_count_rows(tx.engine, resource), {})[0][0]


@cache
def _read_statement(engine: Engine) -> Statement:
    name = bindparam("name", type_=CODE.column_type)
    return compile_statement(engine, select(DERIVED.c.value).where(DERIVED.c.name == name))


@cache
def _delete(engine: Engine) -> Statement:
    return compile_statement(engine, delete(DERIVED).where(DERIVED.c.name == bindparam("name", type_=CODE.column_type)))


@cache
def _insert_statement(engine: Engine) -> Statement:
    values = {name: bindparam(name, type_=CODE.column_type) for name in ("name", "value")}
    return compile_statement(engine, insert(DERIVED).values(values))


@cache
def _count_rows(engine: Engine, resource: Resource) -> Statement:
    return compile_statement(engine, select(func.count()).select_from(resource.table))
