"""Reports in files. The file appears when it is complete: it is written under another name first."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from machine_monitor.database.connect import Database
from machine_monitor.errors import UsageError
from machine_monitor.services.projections.reports import html, report, workbook
from machine_monitor.services.projections.reports.report import Report, ReportQuery
from machine_monitor.suggestions import did_you_mean

BUILDERS: dict[str, Callable[[Report, datetime], bytes]] = {".html": html.render, ".xlsx": workbook.build}
SUFFIXES = " or ".join(BUILDERS)


@dataclass(frozen=True)
class ReportFile:
    """The file of a report; an existing one is replaced, since a timer writes it every week.

    Raises `UsageError` if the name is none of a report, or its folder does not exist.
    """

    target: Path

    def __post_init__(self) -> None:
        suffix = self.target.suffix.lower()
        if self.target.is_dir():
            raise UsageError(f"{self.target} is a folder: name a file that ends with {SUFFIXES}.")
        if suffix not in BUILDERS:
            suggestion = did_you_mean(suffix, BUILDERS) if suffix else ""
            raise UsageError(f"{self.target}: the file name must end with {SUFFIXES}.{suggestion}")
        if not self.target.parent.is_dir():
            raise UsageError(f"There is no folder {self.target.parent}: create it first.")


async def save(database: Database, query: ReportQuery, file: ReportFile) -> Report:
    """Write the report, and return it."""
    await database.open()
    try:
        found = await report.fetch(database, query)
    finally:
        await database.close()
    body = BUILDERS[file.target.suffix.lower()](found, query.time_context.now)
    partial = file.target.with_name(f"{file.target.name}.partial")
    try:
        partial.write_bytes(body)
        partial.replace(file.target)
    except OSError as error:
        raise UsageError(f"Cannot write {file.target}: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return found
