"""Import the records of the legacy tool, and export records in its format."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypedDict, Unpack
from zoneinfo import ZoneInfo

from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import LOGS
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.legacy import imports, plan, read, translate, zone
from machine_monitor.services.legacy.export import ExportReport, export
from machine_monitor.services.legacy.plan import ImportSet, NamedRecord, Step
from machine_monitor.services.legacy.report import Finding, Report
from machine_monitor.services.legacy.translate import Record

__all__ = ["ExportReport", "Finding", "Report", "clock_zone", "export", "sync"]


class Options(TypedDict, total=False):
    """Options of a sync: `dry_run` writes nothing, `drafts` includes unsaved drafts, `progress` gets (done, total)."""

    dry_run: bool
    drafts: bool
    progress: Callable[[int, int], None] | None


def sync(database: Database, source: Path, clock: ZoneInfo, **options: Unpack[Options]) -> Report:
    """Import a legacy folder or SQLite file in one transaction; raises `UsageError` if `source` is neither.

    `clock` is the time zone of its times, which is remembered for later.
    """
    raw_records = read.records(source, drafts=options.get("drafts", False))
    import_set = plan.assemble(None if raw is None else translate.record(raw, clock) for raw in raw_records)
    report = database.transact(lambda tx: _sync(tx, import_set, clock, options))
    if not options.get("dry_run", False):
        database.analyze(LOGS.name)
    return report


def clock_zone(database: Database) -> ZoneInfo | None:
    """Return the time zone that the last sync was told; None if there was none."""
    return database.snapshot(zone.remembered)


def _sync(tx: Transaction, import_set: ImportSet, clock: ZoneInfo, options: Options) -> Report:
    """Plan and write batch by batch. Must not change `import_set`: after a write conflict this runs again."""
    report, context = import_set.report.copy(), ChangeContext(imports.VIA)
    names: dict[str, dict[str, NamedRecord]] = {resource.name: {} for resource in plan.ORDER}
    progress, done = options.get("progress"), 0
    for batch in _batches(import_set):
        resource = batch[0].resource
        existing = imports.find_existing(tx, resource, batch)
        steps = [plan.decide(record, existing[record.key], names) for record in batch]
        if not options.get("dry_run", False):
            imports.apply(tx, steps, context)
        for step in steps:
            _add_to_report(report, step)
            if (named_record := plan.named_record(step)) is not None:
                names[resource.name][step.record.key] = named_record
        done += len(batch)
        if progress is not None:
            progress(done, import_set.total)
    report.problems += imports.missing(tx, import_set)
    report.problems.sort(key=lambda finding: finding.file)
    if not options.get("dry_run", False):
        zone.remember(tx, clock)
    return report


def _batches(import_set: ImportSet) -> Iterator[list[Record]]:
    for resource in plan.ORDER:
        records = iter(import_set.records[resource.name])
        while batch := list(islice(records, imports.BATCH_SIZE)):
            yield batch


def _add_to_report(report: Report, step: Step) -> None:
    report.count(step.record.resource.name, step.outcome)
    report.problems.extend(step.findings)
