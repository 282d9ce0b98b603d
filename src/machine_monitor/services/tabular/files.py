"""Exports to a file. The file appears when it is complete: it is written under another name first."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from machine_monitor.database.connect import Database
from machine_monitor.errors import UsageError
from machine_monitor.query.language.parser import ListQuery, parse_export_query, parse_query_string
from machine_monitor.query.language.times import TimeContext
from machine_monitor.query.schema import Resource
from machine_monitor.services.tabular.exports import FORMATS, Export, Format


@dataclass(frozen=True)
class ExportRequest:
    """An export as given on the command line; `query` is a URL query string. Raises `UsageError` if invalid."""

    target: Path
    resource: Resource
    query: str = ""
    dialect: str | None = None
    replace: bool = False

    def __post_init__(self) -> None:
        if self.target.suffix.lower().removeprefix(".") not in FORMATS:
            *names, last = [f".{suffix}" for suffix in FORMATS]
            raise UsageError(
                f"{self.target}: the file name must end with {', '.join(names)} or {last}. For a folder, use --legacy."
            )
        if self.target.is_dir():
            raise UsageError(f"{self.target} is a folder: name a file.")
        if self.target.exists() and not self.replace:
            raise UsageError(f"{self.target} already exists: use --force to overwrite a file.")

    @property
    def form(self) -> Format:
        """The format, from the suffix of the file name."""
        return FORMATS[self.target.suffix.lower().removeprefix(".")]

    def list_query(self, time_context: TimeContext) -> ListQuery:
        """Parse the query; raises the same problems as the API. By default, logs are sorted oldest first."""
        pairs = parse_query_string(self.query.removeprefix("?").encode(errors="surrogateescape"))
        if self.dialect is not None:
            pairs.append(("dialect", self.dialect))
        if self.resource.search_follows_time and "sort" not in dict(pairs):
            pairs.append(("sort", self.resource.tiebreakers[0]))
        return parse_export_query(self.resource, pairs, time_context, dialects=self.form.has_dialects)

    def files_query(self, time_context: TimeContext) -> ListQuery:
        """Parse the query for the attachments of the same records, with their key."""
        pairs = parse_query_string(self.query.removeprefix("?").encode(errors="surrogateescape"))
        filters = [pair for pair in pairs if pair[0] not in ("fields", "expand", "dialect", "sort")]
        chosen = ("fields", f"{self.resource.key},attachments")
        return parse_export_query(self.resource, [*filters, chosen], time_context, dialects=False)


async def save(
    database: Database, request: ExportRequest, time_context: TimeContext, progress: Callable[[int, int], None]
) -> int:
    """Write the file, and return the number of records. `progress` gets (done, total)."""
    query, written = request.list_query(time_context), 0
    await database.open()
    try:
        total = await Export(database, query, time_context.zone).count()

        def count(rows: int) -> None:
            nonlocal written
            written += rows
            progress(written, total)

        await _write(request, Export(database, query, time_context.zone, count))
    except OSError as error:
        raise UsageError(f"Cannot write {request.target}: {error.strerror}.") from error
    finally:
        await database.close()
    return written


async def _write(request: ExportRequest, export: Export) -> None:
    partial = request.target.with_name(f"{request.target.name}.partial")
    try:
        with partial.open("wb") as file:
            async with aclosing(request.form.write(export)) as chunks:
                async for chunk in chunks:
                    file.write(chunk)
        partial.replace(request.target)
    finally:
        partial.unlink(missing_ok=True)
