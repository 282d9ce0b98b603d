"""Import the records of the legacy tool, and export records in its format."""

from pathlib import Path
from typing import Unpack
from zoneinfo import ZoneInfo

from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import LOGS
from machine_monitor.services.legacy import plan, sources, translate, zone
from machine_monitor.services.legacy.export import ExportReport, export
from machine_monitor.services.legacy.imports import VIA
from machine_monitor.services.legacy.plan import Step
from machine_monitor.services.legacy.report import Finding, Report
from machine_monitor.services.legacy.running import Options, SyncRun
from machine_monitor.services.legacy.sources import recognize

__all__ = ["VIA", "ExportReport", "Finding", "Report", "Step", "clock_zone", "export", "recognize", "sync"]


def sync(database: Database, source: Path, clock: ZoneInfo, **options: Unpack[Options]) -> Report:
    """Import a legacy folder, its archive, or an SQLite file; raises `UsageError` if `source` is none of them.

    It is one transaction, unless `in_batches` is set. A dry run only reads, and does not block writers. `clock` is the
    time zone of its times, which is remembered for later.
    """
    raw_records = sources.records(source, drafts=options.get("drafts", False), max_records=options.get("max_records"))
    import_set = plan.assemble(None if raw is None else translate.record(raw, clock) for raw in raw_records)
    is_dry_run = options.get("dry_run", False)
    transact = database.snapshot if is_dry_run else database.transact
    if options.get("in_batches", False):
        report = SyncRun(import_set, clock, options).execute(transact)
    else:

        def unit(tx: Transaction) -> Report:
            # After a write conflict this runs again, from the beginning.
            return SyncRun(import_set, clock, options).execute(lambda step: step(tx))

        report = transact(unit)
    if not is_dry_run:
        database.analyze(LOGS.name)
    return report


def clock_zone(database: Database) -> ZoneInfo | None:
    """Return the time zone that the last sync was told; None if there was none."""
    return database.snapshot(zone.remembered)
