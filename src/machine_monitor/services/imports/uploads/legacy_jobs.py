"""What a worker does with an uploaded source of the legacy tool: preview it, and import it.

It is the sync of `services/legacy`, in batches: so a later sync finds everything unchanged.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from machine_monitor import config
from machine_monitor.database import instants
from machine_monitor.errors import Fault, Invalid, UsageError
from machine_monitor.models import LOGS
from machine_monitor.services import legacy
from machine_monitor.services.access.permissions import Role
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.imports.execution import undoing
from machine_monitor.services.imports.execution.undoing import Run
from machine_monitor.services.imports.preview import FIRST_RECORDS
from machine_monitor.services.imports.report import NAMED_ROWS, RESOURCE_NAMES
from machine_monitor.services.imports.uploads import file_imports
from machine_monitor.services.imports.uploads.jobs import (
    MAX_ROWS,
    OUTCOMES,
    Job,
    LeasedDatabase,
    NotUndone,
    bound_problems,
)

NO_MAPPING = "This is a file of the legacy tool, whose fields are known: it takes no mapping and no resource."
TOO_LARGE = "To read this file takes more memory than an import may use. Use `mm sync` on the server."


@dataclass
class Observation:
    """What a preview shows of the logs: the first records, and the earliest and the latest start."""

    records: list[dict[str, Any]] = field(default_factory=list)
    starts: list[str] = field(default_factory=list)

    def add(self, step: legacy.Step) -> None:
        """Look at the step of one record."""
        if step.record.resource is not LOGS or step.outcome == "rejected":
            return
        if len(self.records) < FIRST_RECORDS:
            self.records.append({**step.record.values, **step.values})
        # Logs come in the order of their start.
        start = step.record.values["started_at"]
        self.starts = [*self.starts[:1], start]


def preview(job: Job, database: LeasedDatabase, source_format: str) -> None:
    """Find out what a sync of the file would do."""
    if job.mapping is not None or job.read is not None:
        raise Invalid(faults=[Fault(NO_MAPPING, "legacy-file", "")])
    if job.resource is not None:
        raise Invalid(faults=[Fault(NO_MAPPING, "other-resource", "/resource")])
    zone = legacy.clock_zone(database) or config.zone(job.zone)
    observation = Observation()
    with _bounded_memory():
        report = legacy.sync(
            database,
            Path(job.table),
            zone,
            dry_run=True,
            in_batches=True,
            max_records=MAX_ROWS,
            manages_users=job.manages_users,
            observe=observation.add,
        )
    result = _to_dict(report)
    found = {
        "records": observation.records,
        "counts": {name: result[name] for name in RESOURCE_NAMES},
        **{name: result[name] for name in ("skipped", "problems", "more_problems")},
        "fields": {},
        "values": {},
        "dates": {},
    }
    if observation.starts:
        found["span"] = [observation.starts[0], observation.starts[-1]]
    values = {"total": _total(result), "done": 0, "resource": None, **_outcome_values(result)}
    read = {"format": source_format, "zone": zone.key}
    shown = {"columns": [], "read": read, "sample": None, "preview": found, "problem": None}
    database.finish("ready", shown, **values)


def apply(job: Job, database: LeasedDatabase) -> None:
    """Import the file. After a failure or an interruption, undo its writes; raises `NotUndone` if that fails, too."""

    def count(done: int, _total: int) -> None:
        database.rows_done = done

    assert job.legacy_zone is not None
    context = ChangeContext(legacy.VIA, job.user, request_id=job.lease.id, role=Role(job.role))
    run = Run(job.lease.id, database.snapshot(undoing.last_entry))
    try:
        with _bounded_memory():
            report = legacy.sync(
                database,
                Path(job.table),
                config.zone(job.legacy_zone),
                in_batches=True,
                max_records=MAX_ROWS,
                manages_users=job.manages_users,
                context=context,
                progress=count,
            )
        result = _to_dict(report)
        total, expires_at = _total(result), instants.now() + file_imports.RETENTION
        values = {"done": total, "total": total, "expires_at": expires_at, **_outcome_values(result)}
        database.finish("done", {"report": result, "problem": None}, **values)
    except BaseException as error:
        try:
            undoing.undo(database, run, context)
        except BaseException as failed:
            raise NotUndone(str(error)) from failed
        raise


def _to_dict(report: legacy.Report) -> dict[str, Any]:
    """Return the report of a sync in the form of an import's: equal findings are one group, with its first files."""
    groups: dict[legacy.Finding, list[str]] = {}
    for finding in report.problems:
        groups.setdefault(replace(finding, file=""), []).append(finding.file)
    problems = [
        {
            "file": files[0],
            **{name: getattr(finding, name) for name in ("field", "code", "level", "value")},
            "count": len(files),
            "rows": [],
            "files": files[:NAMED_ROWS],
            "message": finding.message,
        }
        for finding, files in groups.items()
    ]
    result = {**report.counts, "ignored": report.ignored, "skipped": 0, "problems": problems}
    bound_problems(result)
    return result


@contextmanager
def _bounded_memory() -> Generator[None]:
    """Say what to do if a file is too large for this process."""
    try:
        yield
    except MemoryError:
        raise UsageError(TOO_LARGE) from None


def _total(result: dict[str, Any]) -> int:
    return sum(sum(result[name].values()) for name in RESOURCE_NAMES)


def _outcome_values(result: dict[str, Any]) -> dict[str, int]:
    """Return the counts that the list of imports shows: those of all kinds of records together."""
    return {outcome: sum(result[name][outcome] for name in RESOURCE_NAMES) for outcome in OUTCOMES}
