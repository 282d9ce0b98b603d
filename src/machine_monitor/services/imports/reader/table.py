"""A table as it was read: what was recognised, its column names, and its rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

# What a cell can hold. Text files have texts only; workbooks and NDJSON have typed values.
Cell = str | int | float | bool | date | datetime | time | timedelta | None
# Reads a cell of a text file from its text and whether it is quoted.
CellReader = Callable[[str, bool], Cell]
# The column in which a file of refused rows says why; every import ignores it.
WHY = "why"
TEXT_FORMATS = ("csv", "ndjson")
WORKBOOKS = ("xlsx", "xls", "ods")


class RowFault(NamedTuple):
    """Why a row cannot be read: a code of the report, and a sentence."""

    code: str
    message: str


class Row(NamedTuple):
    """One row: its line in a text file or its row in a sheet, the file position after it, and its cells.

    `members` is the JSON object of a line of NDJSON.
    """

    number: int
    end: int
    cells: Sequence[Cell]
    fault: RowFault | None = None
    members: dict[str, Any] | None = None


@dataclass(frozen=True)
class ReadOptions:
    """How to read a file. None: it is recognised."""

    format: str | None = None
    sheet: int | str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    header: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the options that are given, as JSON."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def over(self, recognised: "ReadOptions") -> "ReadOptions":
        """Return these options, completed by what was recognised."""
        return replace(recognised, **self.to_dict())


@dataclass(frozen=True)
class Table:
    """A table of a file. `iterate` yields its rows below the header, again from the first at each call.

    `names` are the cells of the header, blank ends dropped; empty if the table has none. `preamble` are the lines
    above the header. `size` is the number that `Row.end` reaches. `is_marked`: the file begins with a byte order mark.
    `with_cells` returns `iterate` with another way to read the cells of a text file.
    """

    path: Path
    read: ReadOptions
    names: Sequence[str]
    width: int
    iterate: Callable[[], Iterator[Row]]
    size: int
    preamble: Sequence[str] = field(default_factory=tuple)
    is_marked: bool = False
    has_crlf: bool = False
    with_cells: Callable[[CellReader], Callable[[], Iterator[Row]]] | None = None

    def rows(self) -> Iterator[Row]:
        """Yield the rows, without blank ones; a row of another width gets a fault."""
        for row in self.iterate():
            if row.fault is not None:
                yield row
            elif any(cell is not None and cell != "" for cell in row.cells):
                yield self._checked(row)

    @property
    def has_why(self) -> bool:
        """Whether this is a file of refused rows: the last column says why."""
        return bool(self.names) and self.names[-1].strip() == WHY

    def _checked(self, row: Row) -> Row:
        """Return the row with as many cells as the table has columns, or with a fault."""
        cells = list(row.cells)
        while len(cells) > self.width and cells[-1] in (None, ""):
            cells.pop()
        required = len(self.names) or self.width
        if self.read.format in WORKBOOKS or (self.has_why and len(cells) == required - 1):
            required = 0
        if len(cells) > self.width or len(cells) < required:
            message = f"The table has {required or self.width} columns, but this row has {len(cells)} cells."
            return row._replace(fault=RowFault("row-shape", message))
        return row._replace(cells=cells + [None] * (self.width - len(cells)))
