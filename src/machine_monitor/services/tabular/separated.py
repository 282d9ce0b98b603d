"""CSV as RFC 4180 has it, and as Excel opens it; here null is an empty cell and the empty text is `""`.

Python's own `csv` tells the two apart neither when it reads nor when it writes.
"""

import json
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from machine_monitor.query.exports import Cells, Column
from machine_monitor.services.tabular import lines

# What a spreadsheet would run, and the sign that keeps it from doing so.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "'")
GUARD = "'"
# Kinds whose cells are no texts: never quoted, never guarded.
BARE = frozenset({"integer", "boolean"})


@dataclass(frozen=True)
class Dialect:
    """One way to write a table; `spreadsheet` says that cells are guarded, and that the file begins with a mark."""

    delimiter: str
    spreadsheet: bool = False

    def writer(self, columns: Sequence[Column]) -> Callable[[Iterable[Sequence[Cells]]], Generator[bytes]]:
        """What makes the bytes of a file of its rows, some at a time."""
        cells = [self._cell(column.kind.name) for column in columns]
        join = self.delimiter.join

        def text(rows: Sequence[Cells]) -> str:
            return "".join(
                [join([write(cell) for write, cell in zip(cells, row, strict=True)]) + "\r\n" for row in rows]
            )

        def file(parts: Iterable[Sequence[Cells]]) -> Generator[bytes]:
            begin = f"{join(self._quoted(column.name) for column in columns)}\r\n".encode()
            if self.spreadsheet:
                begin = lines.MARK + begin
            for rows in parts:
                yield begin + text(rows).encode()
                begin = b""
            if begin:
                yield begin

        return file

    def split(self, line: str) -> list[str | None]:
        """The cells of a record without its line's end; raises `ValueError` if its quotes are not in order."""
        if '"' not in line:
            return [cell or None for cell in line.split(self.delimiter)]
        cells: list[str | None] = []
        position, end = 0, self.delimiter
        while end:
            match = self._pattern.match(line, position)
            if match is None:
                raise ValueError("A cell with a quote in it is quoted, and its quotes are doubled.")
            quoted, bare, end = match.groups()
            cells.append(bare or None if quoted is None else quoted.replace('""', '"'))
            position = match.end()
        return cells

    def goes_on(self, line: bytes) -> bool:
        """Whether a record's first line ends inside of quotes."""
        return line.count(b'"') % 2 == 1 and self._unclosed.fullmatch(line) is not None

    def text(self, cell: str) -> str:
        """The text that a cell stands for."""
        guarded = self.spreadsheet and cell.startswith(GUARD) and cell.startswith(FORMULAS, 1)
        return cell[1:] if guarded else cell

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(rf'(?:"([^"]*(?:""[^"]*)*)"|([^"{self.delimiter}]*))({self.delimiter}|\Z)')

    @cached_property
    def _unclosed(self) -> re.Pattern[bytes]:
        cell = rf'(?:"[^"]*(?:""[^"]*)*"|[^"{self.delimiter}]*)'
        return re.compile(rf'(?:{cell}{self.delimiter})*"[^"]*(?:""[^"]*)*'.encode())

    @cached_property
    def _special(self) -> re.Pattern[str]:
        return re.compile(rf'["\r\n{self.delimiter}]')

    def _cell(self, kind: str) -> Callable[[str | None], str]:
        if kind in BARE:
            return lambda cell: cell or ""
        if kind in ("object", "list"):
            return lambda cell: "" if cell is None else self._quoted(cell)
        return self._value if kind == "value" else self._text

    def _text(self, cell: str | None) -> str:
        if not cell:
            return "" if cell is None else '""'
        return self._quoted(GUARD + cell if self.spreadsheet and cell.startswith(FORMULAS) else cell)

    def _value(self, fragment: str | None) -> str:
        """A value that is JSON: a text as texts are, anything else bare."""
        return self._text(json.loads(fragment)) if fragment and fragment[0] == '"' else fragment or ""

    def _quoted(self, cell: str) -> str:
        doubled = cell.replace('"', '""')
        return f'"{doubled}"' if self._special.search(cell) else cell


DIALECTS = {"rfc4180": Dialect(","), "excel": Dialect(";", spreadsheet=True)}
