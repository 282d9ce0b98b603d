"""CSV in two dialects: RFC 4180, and one that Excel opens. Null is an empty cell, the empty text is `""`.

Python's `csv` module cannot distinguish the two, neither reading nor writing.
"""

import codecs
import json
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from machine_monitor.query.exports import Cells, Column
from machine_monitor.services.tabular import guarding

# Kinds that are not texts: never quoted, never guarded.
UNQUOTED_KINDS = frozenset({"integer", "boolean"})
# Kinds whose texts no spreadsheet takes for something else.
PLAIN_KINDS = frozenset({"object", "list", "uuid", "time", "choice", "rank"})


@dataclass(frozen=True)
class Dialect:
    """A CSV dialect; with `spreadsheet`, cells are guarded and the file begins with a byte order mark."""

    delimiter: str
    spreadsheet: bool = False

    def writer(self, columns: Sequence[Column]) -> Callable[[Iterable[Sequence[Cells]]], Generator[bytes]]:
        """Return a function that turns chunks of rows into chunks of a file."""
        formatters = [self._formatter(column.kind.name) for column in columns]
        join = self.delimiter.join

        def lines_of(rows: Sequence[Cells]) -> str:
            return "".join(
                [join([format_(cell) for format_, cell in zip(formatters, row, strict=True)]) + "\r\n" for row in rows]
            )

        def file(chunks: Iterable[Sequence[Cells]]) -> Generator[bytes]:
            begin = f"{join(self._quote(column.name) for column in columns)}\r\n".encode()
            if self.spreadsheet:
                begin = codecs.BOM_UTF8 + begin
            for rows in chunks:
                yield begin + lines_of(rows).encode()
                begin = b""
            if begin:
                yield begin

        return file

    @cached_property
    def _special_pattern(self) -> re.Pattern[str]:
        return re.compile(rf'["\r\n{self.delimiter}]')

    def _formatter(self, kind: str) -> Callable[[str | None], str]:
        if kind in UNQUOTED_KINDS:
            return lambda cell: cell or ""
        if kind in PLAIN_KINDS:
            return lambda cell: "" if cell is None else self._quote(cell)
        return self._format_json if kind == "value" else self._format_text

    def _format_text(self, cell: str | None) -> str:
        if not cell:
            return "" if cell is None else '""'
        if self.spreadsheet:
            return self._quote(guarding.guard(cell))
        # Quotes tell an import that this `'` belongs to the text.
        return self._quote(cell, always=guarding.is_guarded(cell))

    def _format_json(self, fragment: str | None) -> str:
        """Format a JSON value: a text like other texts, anything else as it is."""
        return self._format_text(json.loads(fragment)) if fragment and fragment[0] == '"' else fragment or ""

    def _quote(self, cell: str, *, always: bool = False) -> str:
        if always or self._special_pattern.search(cell):
            doubled = cell.replace('"', '""')
            return f'"{doubled}"'
        return cell


DIALECTS = {"rfc4180": Dialect(","), "excel": Dialect(";", spreadsheet=True)}
