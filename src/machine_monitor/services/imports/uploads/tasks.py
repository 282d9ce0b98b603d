"""The tasks of a worker, by name: for tables, or for files of the legacy tool."""

from collections.abc import Callable
from pathlib import Path

from machine_monitor.services import legacy
from machine_monitor.services.imports.uploads import jobs, legacy_jobs
from machine_monitor.services.imports.uploads.jobs import Job, LeasedDatabase


def preview(job: Job, database: LeasedDatabase) -> None:
    """Find out what an import would do. The content of the file says what it is."""
    found = legacy.recognize(Path(job.table))
    if found is None:
        jobs.preview(job, database)
    else:
        legacy_jobs.preview(job, database, found)


def apply(job: Job, database: LeasedDatabase) -> None:
    """Import the file that was previewed."""
    (jobs if job.legacy_zone is None else legacy_jobs).apply(job, database)


TASKS: dict[str, Callable[[Job, LeasedDatabase], None]] = {"preview": preview, "apply": apply, "undo": jobs.undo}
