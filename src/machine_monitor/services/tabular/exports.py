"""Build export files in chunks, from a consistent snapshot of the records."""

from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from machine_monitor.database.connect import Database
from machine_monitor.errors import Fault, invalid
from machine_monitor.query import exports
from machine_monitor.query.exports import Column
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.language.values import MAX_INTEGER
from machine_monitor.services.tabular import ndjson, xlsx
from machine_monitor.services.tabular.separated import DIALECTS

# Turns chunks of rows into chunks of a file. It yields nothing before the first rows, so that an earlier error of the
# database can still become a problem response.
Writer = Callable[[Iterable[Sequence[Any]]], Iterable[bytes]]


def _ignore_progress(_rows: int) -> None:
    """Do nothing: the default of `Export.progress`."""


@dataclass(frozen=True)
class Export:
    """The query of an export. `zone` is the zone of times in a workbook; `progress` gets the size of each chunk."""

    database: Database
    query: ListQuery
    zone: ZoneInfo
    progress: Callable[[int], None] = _ignore_progress

    async def count(self, limit: int = MAX_INTEGER) -> int:
        """Count the matching records, up to `limit`."""
        ((count,),) = await self.database.fetch(*exports.compile_count(self.database.engine, self.query, limit))
        return count

    def documents(self, write: Writer) -> AsyncGenerator[bytes]:
        """Yield the file that `write` makes of the records as JSON documents."""
        bound = exports.compile_documents(self.database.engine, self.query)
        return self.database.stream(*bound, lambda chunks: write(self._with_progress(chunks)))

    def cells(self, columns: Sequence[Column], write: Writer, expand: tuple[str, ...] = ()) -> AsyncGenerator[bytes]:
        """Yield the file that `write` makes of the records as cells of these columns."""
        bound = exports.compile_cells(self.database.engine, self.query, columns, expand)
        flatten = exports.row_flattener(columns)
        return self.database.stream(*bound, lambda chunks: write(map(flatten, self._with_progress(chunks))))

    def _with_progress(self, chunks: Iterable[list[Any]]) -> Generator[list[Any]]:
        for rows in chunks:
            self.progress(len(rows))
            yield rows


def _ndjson(export: Export) -> AsyncGenerator[bytes]:
    """One record per line, like the items of a list; fields with a dot become members with that name."""
    if not exports.has_dotted_fields(export.query):
        return export.documents(partial(map, ndjson.join_documents))
    columns = exports.columns(export.query)
    return export.cells(columns, partial(map, ndjson.writer(columns)), export.query.expand)


def _csv(export: Export) -> AsyncGenerator[bytes]:
    """A header line, then one record per line."""
    columns = exports.columns(export.query, export.query.expand)
    return export.cells(columns, DIALECTS[export.query.dialect].writer(columns))


async def _xlsx(export: Export) -> AsyncGenerator[bytes]:
    """A workbook; raises `Invalid` if it would have too many rows."""
    if await export.count(xlsx.MAX_ROWS + 1) > xlsx.MAX_ROWS:
        message = f"An Excel export has at most {xlsx.MAX_ROWS:,} rows: add a filter, or export as .csv."
        raise invalid([Fault(message, "too-many")])
    columns = exports.columns(export.query, export.query.expand)
    write = xlsx.writer(columns, export.query.resource.name, export.zone)
    async with aclosing(export.cells(columns, write)) as chunks:
        async for chunk in chunks:
            yield chunk


@dataclass(frozen=True)
class Format:
    """A file format; `write` yields the chunks of a file, and must be closed by the caller."""

    suffix: str
    media_type: str
    description: str
    write: Callable[[Export], AsyncGenerator[bytes]]
    has_dialects: bool = False


FORMATS = {
    form.suffix: form
    for form in (
        Format("ndjson", "application/x-ndjson", "one JSON object per line, like the items of the list", _ndjson),
        Format("csv", "text/csv", "CSV (RFC 4180), or CSV for Excel with `dialect=excel`", _csv, has_dialects=True),
        Format(
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            f"an Excel workbook with at most {xlsx.MAX_ROWS:,} rows, times in the site's time zone",
            _xlsx,
        ),
    )
}
