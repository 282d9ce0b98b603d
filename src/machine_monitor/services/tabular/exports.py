"""Writing records out: the bytes of a file, a part at a time, as of one moment."""

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

# Makes the bytes of a file of its rows, some at a time; it begins with the first of them, so that until then an error
# of the database can still be told.
Writer = Callable[[Iterable[Sequence[Any]]], Iterable[bytes]]


def _nobody(_rows: int) -> None:
    """Hear how many rows were written, and say nothing."""


@dataclass(frozen=True)
class Export:
    """What to write, and from where; a workbook's times are those of `zone`, `progress` hears of rows as they come."""

    database: Database
    query: ListQuery
    zone: ZoneInfo
    progress: Callable[[int], None] = _nobody

    async def count(self, limit: int = MAX_INTEGER) -> int:
        """How many records there are, counted up to `limit`."""
        ((found,),) = await self.database.fetch(*exports.compile_count(self.database.engine, self.query, limit))
        return found

    def documents(self, write: Writer) -> AsyncGenerator[bytes]:
        """What is written of the records as finished JSON."""
        bound = exports.compile_documents(self.database.engine, self.query)
        return self.database.stream(*bound, lambda parts: write(self._heard(parts)))

    def cells(self, columns: Sequence[Column], write: Writer, expand: tuple[str, ...] = ()) -> AsyncGenerator[bytes]:
        """What is written of the records as cells of these columns."""
        bound = exports.compile_cells(self.database.engine, self.query, columns, expand)
        flatten = exports.row_flattener(columns)
        return self.database.stream(*bound, lambda parts: write(map(flatten, self._heard(parts))))

    def _heard(self, parts: Iterable[list[Any]]) -> Generator[list[Any]]:
        for rows in parts:
            self.progress(len(rows))
            yield rows


def _ndjson(export: Export) -> AsyncGenerator[bytes]:
    """A record a line, as lists have it; fields that are no record's own become members of their own."""
    if not exports.has_dotted_fields(export.query):
        return export.documents(partial(map, ndjson.documents))
    columns = exports.columns(export.query)
    return export.cells(columns, partial(map, ndjson.writer(columns)), export.query.expand)


def _csv(export: Export) -> AsyncGenerator[bytes]:
    """A header, then a record a line."""
    columns = exports.columns(export.query, export.query.expand)
    return export.cells(columns, DIALECTS[export.query.dialect].writer(columns))


async def _xlsx(export: Export) -> AsyncGenerator[bytes]:
    """A workbook; raises `Invalid` if it would have too many rows."""
    if await export.count(xlsx.MAX_ROWS + 1) > xlsx.MAX_ROWS:
        message = f"A workbook has at most {xlsx.MAX_ROWS:,} rows: ask for less, or for .csv."
        raise invalid([Fault(message, "too-many")])
    columns = exports.columns(export.query, export.query.expand)
    write = xlsx.writer(columns, export.query.resource.name, export.zone)
    async with aclosing(export.cells(columns, write)) as parts:
        async for part in parts:
            yield part


@dataclass(frozen=True)
class Format:
    """One form of file; `write` gives its bytes, to be closed by who asks for them."""

    suffix: str
    media_type: str
    sentence: str
    write: Callable[[Export], AsyncGenerator[bytes]]
    has_dialects: bool = False


FORMATS = {
    form.suffix: form
    for form in (
        Format("ndjson", "application/x-ndjson", "a JSON object a line, as the list's items are", _ndjson),
        Format("csv", "text/csv", "CSV (RFC 4180), or what Excel opens: `dialect=excel`", _csv, has_dialects=True),
        Format(
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            f"an Excel workbook of at most {xlsx.MAX_ROWS:,} rows, times in the site's zone",
            _xlsx,
        ),
    )
}
