"""Helpers for tests of imports and exports: short functions for a database and a file."""

import asyncio
import contextlib
from zoneinfo import ZoneInfo

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.models import LOGS, MACHINES
from machine_monitor.query.language.times import TimeContext
from machine_monitor.services import imports, records, tabular
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.records import bulk
from services.legacy.cases import counts

PARIS = ZoneInfo("Europe/Paris")
UTC = ZoneInfo("UTC")
UUID = "00000000-0000-4000-8000-{:012}"
RESOURCES = {"logs": LOGS, "machines": MACHINES}

__all__ = ["PARIS", "RESOURCES", "UTC", "UUID", "counts", "export", "opened", "put", "read", "stored_records"]


@contextlib.contextmanager
def opened(url):
    database = Database(url)
    try:
        yield database
    finally:
        database.close_writer()


def put(url, resource, *items):
    """Put all items by their keys."""
    with opened(url) as database:
        outcomes = database.transact(
            lambda tx: bulk.put_all(tx, bulk.BulkContext(RESOURCES[resource], ChangeContext("test"), UTC), items)
        )
    assert [outcome.problem for outcome in outcomes] == [None] * len(items)


def export(url, path, resource="logs", **wish):
    """Export records to a file; return their number."""
    wish = tabular.ExportRequest(path, RESOURCES[resource], replace=True, **wish)
    return asyncio.run(tabular.save(Database(url), wish, TimeContext(UTC, instants.now()), lambda *_: None))


def read(url, path, zone=UTC, **options):
    """Import a file and return the report."""
    with opened(url) as database:
        return imports.import_file(database, path, imports.ImportOptions(zone, **options)).to_dict()


def stored_records(url, resource, *dropped):
    """Return the records in the order of writing, without read-only fields."""
    with opened(url) as database:
        stored = database.transact(lambda tx: records.read_all(tx, RESOURCES[resource]))
    dropped = {"id", "version", "created_at", "updated_at", *dropped}
    return [{name: value for name, value in record.items() if name not in dropped} for record in stored]
