"""The legacy tool: bring its records in, and write them out in its own shape."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypedDict, Unpack
from zoneinfo import ZoneInfo

from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import LOGS
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.legacy import imports, plan, read, translate
from machine_monitor.services.legacy.export import ExportReport, export
from machine_monitor.services.legacy.plan import Dossier, Name, Step
from machine_monitor.services.legacy.translate import Record
from machine_monitor.services.reports import Finding, Report

__all__ = ["ExportReport", "Finding", "Report", "export", "sync"]


class Options(TypedDict, total=False):
    """How to sync: only say what would be done, take unsaved drafts too, call with (done, total) on the way."""

    dry_run: bool
    drafts: bool
    progress: Callable[[int, int], None] | None


def sync(database: Database, source: Path, zone: ZoneInfo, **options: Unpack[Options]) -> Report:
    """Bring a legacy folder or SQLite file in, in one transaction; raises `UsageError` if it is neither."""
    found = read.records(source, drafts=options.get("drafts", False))
    dossier = plan.assemble(None if raw is None else translate.record(raw, zone) for raw in found)
    report = database.transact(lambda tx: _sync(tx, dossier, options))
    if not options.get("dry_run", False):
        database.analyze(LOGS.name)
    return report


def _sync(tx: Transaction, dossier: Dossier, options: Options) -> Report:
    """Plan and write batch by batch; a race lets it run again, so the dossier stays as it is."""
    report, author = dossier.report.copy(), ChangeContext(imports.VIA)
    names: dict[str, dict[str, Name]] = {resource.name: {} for resource in plan.ORDER}
    progress, done = options.get("progress"), 0
    for batch in _batches(dossier):
        resource = batch[0].resource
        known = imports.known(tx, resource, batch)
        steps = [plan.decide(record, known[record.key], names) for record in batch]
        if not options.get("dry_run", False):
            imports.apply(tx, steps, author)
        for step in steps:
            _tell(report, names[resource.name], step)
        done += len(batch)
        if progress is not None:
            progress(done, dossier.total)
    report.problems.sort(key=lambda finding: finding.file)
    return report


def _batches(dossier: Dossier) -> Iterator[list[Record]]:
    for resource in plan.ORDER:
        records = iter(dossier.records[resource.name])
        while batch := list(islice(records, imports.BATCH)):
            yield batch


def _tell(report: Report, names: dict[str, Name], step: Step) -> None:
    report.count(step.record.resource.name, step.outcome)
    report.problems.extend(step.findings)
    if (name := plan.nameable(step)) is not None:
        names[step.record.key] = name
