"""Health checks: whether the database answers, and whether its schema matches this version of the code."""

import asyncio
import platform
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import column, select, table

from machine_monitor.config import Settings
from machine_monitor.database import database_urls, instants, schema
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import TIME
from machine_monitor.database.schema import objects
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import DatabaseBusy, MonitorError
from machine_monitor.models import HISTORY, LOGS, METADATA
from machine_monitor.services.files.store import store_of
from machine_monitor.services.projections import counters

CLOCK_BEHIND = (
    "The clock is behind the last entry of the history: it is wrong now, or it was when that entry was written. "
    "Check the time of the server."
)
# The clocks of several servers on one database may differ a little.
CLOCK_RESOLUTION = timedelta(seconds=2)
WATCH_SECONDS = 1.0
# From this share of the ids of logs on, `mm doctor` says that the file will be full.
WARNED_SHARE = 0.9
NEARLY_FULL = (
    "This SQLite file has room for {:,} logs, deleted ones included, and {:,} were written. "
    "Copy it to PostgreSQL with `mm copy` before it is full."
)


@cache
def revision(engine: Engine) -> Statement:
    """Compile the query for the database's schema revision."""
    return compile_statement(engine, select(column("version_num")).select_from(table("alembic_version")))


async def check(database: Database) -> list[str]:
    """Return warnings; raises `DatabaseBusy` unless the database is in place, answers, and is at the head revision."""
    await database.check()
    rows = await database.fetch(_readiness(database.engine), {})
    if not schema.is_head([row[:1] for row in rows]):
        raise DatabaseBusy(schema.OTHER_SCHEMA)
    _, last_entry_at, *server = rows[0]
    faults = [*_clock_faults(database.engine, last_entry_at), *database.engine.server_faults(server)]
    return [*filter(None, [database.read_only]), *faults]


async def watch_file(database: Database) -> None:
    """Look at the database file every second, so that a moved one is logged and followed without any request."""
    while True:
        with suppress(MonitorError, OSError):
            await database.check()
        await asyncio.sleep(WATCH_SECONDS)


def _clock_faults(engine: Engine, last_entry_at: Any) -> list[str]:
    """Return a sentence if the clock is behind the last entry of the history; null if there is none."""
    if last_entry_at is None:
        return []
    last = datetime.fromisoformat(engine.from_db(last_entry_at, TIME))
    return [CLOCK_BEHIND] if instants.now() < last - CLOCK_RESOLUTION else []


def _id_faults(tx: Transaction) -> list[str]:
    """Return a sentence if few ids of logs are left."""
    most = tx.engine.max_id
    if most is None:
        return []
    used = tx.engine.last_id(tx.cursor, LOGS.table)
    return [NEARLY_FULL.format(most, used)] if used >= WARNED_SHARE * most else []


@cache
def _readiness(engine: Engine) -> Statement:
    """Compile the query for the schema revision, the time of the last entry of the history, and the server's state."""
    entries = HISTORY.table
    last = select(entries.c.at).order_by(entries.c.seq.desc()).limit(1).scalar_subquery()
    columns = [column("version_num"), last, *engine.server_columns()]
    return compile_statement(engine, select(*columns).select_from(table("alembic_version")))


def missing_migration(tx: Transaction) -> str | None:
    """Return advice if the models have columns that the database lacks, else None."""
    missing = schema.missing_columns(tx.engine.name, tx.cursor, METADATA)
    if not missing:
        return None
    name = f"add_{missing[0].rpartition('.')[2]}"
    return f"The models have columns that no migration adds ({', '.join(missing)}). Run `make migration NAME={name}`."


@dataclass(frozen=True)
class Examination:
    """The report of `mm doctor`: settings with secrets masked, facts about the database, and faults."""

    settings: dict[str, Any]
    facts: dict[str, Any]
    faults: list[str]

    @property
    def healthy(self) -> bool:
        """Whether there are no faults."""
        return not self.faults

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {"settings": self.settings, "database": self.facts, "faults": self.faults}

    def lines(self) -> list[tuple[str, str]]:
        """Return the report as (label, text) lines."""
        members = [*self.settings.items(), *self.facts.items()]
        return [*[(name, str(value)) for name, value in members], *[("fault", fault) for fault in self.faults]]


def examine(settings: Settings) -> Examination:
    """Examine a deployment; faults are reported, never raised."""
    from machine_monitor.database.schema import migrations  # noqa: PLC0415 -- a service must not import Alembic

    masked_settings = {f"MM_{name.upper()}": value for name, value in settings.model_dump().items()}
    facts: dict[str, Any] = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    masked_settings |= {"MM_DATABASE_URL": "***", "MM_DATABASE_READ_URL": "***"}
    try:
        url = database_urls.parse(settings.database_url)
        masked_settings["MM_DATABASE_URL"] = url.redacted
        standby_url = database_urls.parse_read_url(settings.database_read_url, url)
        masked_settings["MM_DATABASE_READ_URL"] = standby_url.redacted if standby_url else ""
        url.require_usable()
        # First: whatever opens the database makes files beside it for a moment.
        faults = url.engine.file_faults(url.sqlalchemy_url)
        current = migrations.current_revision(url)
        facts |= {"engine": url.engine.name, "revision": current, "newest revision": schema.head_revision()}
        facts |= url.engine.facts(url.sqlalchemy_url)
        if standby_url:
            standby_facts, standby_faults = url.engine.standby_facts(url.sqlalchemy_url, standby_url.sqlalchemy_url)
            facts, faults = facts | standby_facts, faults + standby_faults
        if current is None:
            facts["database"] = "none yet: `mm serve` or `mm migrate` creates it"
        store = store_of(settings.files, url)
        facts["folder of attachments"] = "none: set MM_FILES" if store is None else str(store.folder.absolute())
        if current == schema.head_revision():
            return Examination(masked_settings, facts, faults + _faults(settings))
        advice = [] if current is None else [migrations.revision_advice(current)]
        return Examination(masked_settings, facts, faults + advice)
    except MonitorError as error:
        return Examination(masked_settings, facts, [error.detail])


def _faults(settings: Settings) -> list[str]:
    """Return the faults of a database that is at the head revision."""

    def find(tx: Transaction) -> list[str]:
        differing = objects.find_differences(tx.engine, tx.cursor, METADATA)
        return [*find_faults(tx, settings.timezone), *(each.sentence for each in differing)]

    database = Database(settings.database_url)
    try:
        return database.snapshot(find)
    finally:
        database.close_writer()


def find_faults(tx: Transaction, timezone: str) -> list[str]:
    """Return what is wrong with the database, one sentence each: its schema, and the counters' time zone."""
    faults = []
    rows = tx.execute(_readiness(tx.engine), {})
    if not schema.is_head([row[:1] for row in rows]):
        faults.append(schema.OTHER_SCHEMA)
    for _, last_entry_at, *server in rows:
        faults += [*_clock_faults(tx.engine, last_entry_at), *tx.engine.server_faults(server)]
    if advice := missing_migration(tx):
        faults.append(advice)
    faults += _id_faults(tx)
    zone = counters.counter_zone(tx)
    if zone != timezone:
        faults.append(
            f"Logs are counted by the calendar of {zone}, not of MM_TIMEZONE, so stats are slow. Run `mm migrate`."
        )
    return faults
