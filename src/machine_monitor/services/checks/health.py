"""Whether the database answers and is what this version of the code works with."""

import platform
import sqlite3
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import column, select, table

from machine_monitor.config import Settings
from machine_monitor.database import database_urls, schema
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import DatabaseBusy, MonitorError
from machine_monitor.models import METADATA
from machine_monitor.services.projections import counters


@cache
def revision(engine: Engine) -> Statement:
    """What the database says of its schema."""
    return compile_statement(engine, select(column("version_num")).select_from(table("alembic_version")))


async def check(database: Database) -> None:
    """Raise `DatabaseBusy` unless the database answers at the revision of this code."""
    rows = await database.fetch(revision(database.engine), {})
    if [tuple(row) for row in rows] != [(schema.head_revision(),)]:
        message = "The database has the schema of another version: run `mm migrate`."
        raise DatabaseBusy(message)


def missing_migration(tx: Transaction) -> str | None:
    """What to do if the models have columns that no migration adds."""
    missing = schema.missing_columns(tx.engine.name, tx.cursor, METADATA)
    if not missing:
        return None
    name = f"add_{missing[0].rpartition('.')[2]}"
    return f"The models have columns that no migration adds ({', '.join(missing)}): run `make migration NAME={name}`."


@dataclass(frozen=True)
class Examination:
    """What `doctor` found: settings with secrets masked, facts, and what needs mending."""

    settings: dict[str, Any]
    facts: dict[str, Any]
    faults: list[str]

    @property
    def healthy(self) -> bool:
        """Whether nothing needs mending."""
        return not self.faults

    def document(self) -> dict[str, Any]:
        """The findings as JSON."""
        return {"settings": self.settings, "database": self.facts, "faults": self.faults}

    def lines(self) -> list[tuple[str, str]]:
        """The findings, a line each."""
        members = [*self.settings.items(), *self.facts.items()]
        return [*[(name, str(value)) for name, value in members], *[("fault", fault) for fault in self.faults]]


def examine(settings: Settings) -> Examination:
    """Look at a deployment; never raises for what it finds."""
    from machine_monitor.database.schema import migrations  # noqa: PLC0415 -- a running service need not carry Alembic

    shown = {f"MM_{name.upper()}": value for name, value in settings.model_dump().items()}
    facts: dict[str, Any] = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    shown["MM_DATABASE_URL"] = "***"
    try:
        url = database_urls.parse(settings.database_url)
        shown["MM_DATABASE_URL"] = url.redacted
        found = migrations.current(url)
        facts |= {"engine": url.engine.name, "revision": found, "newest revision": schema.head_revision()}
        if found == schema.head_revision():
            return Examination(shown, facts, _faults(settings))
        return Examination(shown, facts, [] if found is None else [migrations.revision_advice(found)])
    except MonitorError as error:
        return Examination(shown, facts, [error.detail])


def _faults(settings: Settings) -> list[str]:
    """What to mend in a database that is at the revision of this code."""
    database = Database(settings.database_url)
    try:
        advice, zone = database.snapshot(lambda tx: (missing_migration(tx), counters.counter_zone(tx)))
    finally:
        database.close_writer()
    elsewhere = f"Logs are counted by the calendar of {zone}, so stats are slow: run `mm migrate`."
    return [*([advice] if advice else []), *([elsewhere] if zone != settings.timezone else [])]
