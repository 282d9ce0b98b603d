"""CSV in two dialects: RFC 4180, and one that Excel opens. Null is an empty cell, the empty text is `""`.

Python's `csv` module cannot distinguish the two, neither reading nor writing.
"""

import json
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from machine_monitor.query.exports import Cells, Column
from machine_monitor.services.tabular import lines

# CSV injection: cells that a spreadsheet would run as a formula, and the character that prevents it.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "'")
GUARD = "'"
# Kinds that are not texts: never quoted, never guarded.
UNQUOTED_KINDS = frozenset({"integer", "boolean"})


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
                begin = lines.BOM + begin
            for rows in chunks:
                yield begin + lines_of(rows).encode()
                begin = b""
            if begin:
                yield begin

        return file

    def split(self, line: str) -> list[str | None]:
        """Split a record into cells; raises `ValueError` for misplaced quotes."""
        if '"' not in line:
            return [cell or None for cell in line.split(self.delimiter)]
        cells: list[str | None] = []
        position, end = 0, self.delimiter
        while end:
            match = self._cell_pattern.match(line, position)
            if match is None:
                raise ValueError("A cell with a quote must be in quotes, and its own quotes doubled.")
            quoted, bare, end = match.groups()
            cells.append(bare or None if quoted is None else quoted.replace('""', '"'))
            position = match.end()
        return cells

    def is_continued(self, line: bytes) -> bool:
        """Whether a record continues on the next line: its first line ends inside quotes."""
        return line.count(b'"') % 2 == 1 and self._unclosed_pattern.fullmatch(line) is not None

    def text(self, cell: str) -> str:
        """Return the text of a cell, without the guard."""
        guarded = self.spreadsheet and cell.startswith(GUARD) and cell.startswith(FORMULAS, 1)
        return cell[1:] if guarded else cell

    @cached_property
    def _cell_pattern(self) -> re.Pattern[str]:
        return re.compile(rf'(?:"([^"]*(?:""[^"]*)*)"|([^"{self.delimiter}]*))({self.delimiter}|\Z)')

    @cached_property
    def _unclosed_pattern(self) -> re.Pattern[bytes]:
        cell = rf'(?:"[^"]*(?:""[^"]*)*"|[^"{self.delimiter}]*)'
        return re.compile(rf'(?:{cell}{self.delimiter})*"[^"]*(?:""[^"]*)*'.encode())

    @cached_property
    def _special_pattern(self) -> re.Pattern[str]:
        return re.compile(rf'["\r\n{self.delimiter}]')

    def _formatter(self, kind: str) -> Callable[[str | None], str]:
        if kind in UNQUOTED_KINDS:
            return lambda cell: cell or ""
        if kind in ("object", "list"):
            return lambda cell: "" if cell is None else self._quote(cell)
        return self._format_json if kind == "value" else self._format_text

    def _format_text(self, cell: str | None) -> str:
        if not cell:
            return "" if cell is None else '""'
        return self._quote(GUARD + cell if self.spreadsheet and cell.startswith(FORMULAS) else cell)

    def _format_json(self, fragment: str | None) -> str:
        """Format a JSON value: a text like other texts, anything else as it is."""
        return self._format_text(json.loads(fragment)) if fragment and fragment[0] == '"' else fragment or ""

    def _quote(self, cell: str) -> str:
        doubled = cell.replace('"', '""')
        return f'"{doubled}"' if self._special_pattern.search(cell) else cell


DIALECTS = {"rfc4180": Dialect(","), "excel": Dialect(";", spreadsheet=True)}
