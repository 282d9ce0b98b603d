"""Split the records of a text file with separated values into cells."""

import re
from dataclasses import dataclass
from functools import cached_property

BAD_QUOTES = "A quote in this row is not closed, or text follows a closed one. Double the quotes that belong to a text."


@dataclass(frozen=True)
class Separator:
    """How cells are separated and quoted. Without `quote`, quotes are ordinary characters."""

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""

    def split(self, line: str) -> list[tuple[str, bool]]:
        """Return the cells, each with whether it was quoted; raises `ValueError` for misplaced quotes.

        A quote inside a cell that does not begin with one is an ordinary character.
        """
        if not self.quote or (self.quote not in line and not (self.escape and self.escape in line)):
            return [(cell, False) for cell in line.split(self.delimiter)]
        cells: list[tuple[str, bool]] = []
        position, end = 0, self.delimiter
        while end:
            match = self._cell.match(line, position)
            if match is None:
                raise ValueError(BAD_QUOTES)
            quoted, bare, end = match.groups()
            cells.append((self._unescape(bare), False) if quoted is None else (self._unquote(quoted), True))
            position = match.end()
        return cells

    def ends_in_quotes(self, line: bytes, *, inside: bool) -> bool:
        """Whether a line ends inside quotes, given whether it begins inside quotes."""
        quote = self.quote.encode()
        if not quote or (not inside and quote not in line):
            return inside and bool(quote)
        position = 0
        while True:
            if not inside:
                opening = self._opening.search(line, position) if position else self._first_opening.search(line)
                if opening is None:
                    return False
                position = opening.end()
            closing = self._closing.match(line, position)
            if closing is None:
                return True
            position, inside = closing.end(), False

    def _unquote(self, cell: str) -> str:
        return self._unescape(cell.replace(self.quote * 2, self.quote))

    def _unescape(self, cell: str) -> str:
        return self._escaped.sub(r"\1", cell) if self.escape and self.escape in cell else cell

    @cached_property
    def _patterns(self) -> tuple[str, str, str]:
        """The patterns of the delimiter, of the quote, and of what may stand between quotes."""
        delimiter, quote, escape = re.escape(self.delimiter), re.escape(self.quote), re.escape(self.escape)
        inner = rf"[^{quote}{escape}]+|{quote}{quote}"
        return delimiter, quote, rf"(?:{inner}|{escape}.)*+" if self.escape else rf"(?:{inner})*+"

    @cached_property
    def _cell(self) -> re.Pattern[str]:
        delimiter, quote, inner = self._patterns
        escape = re.escape(self.escape)
        first, more = (rf"(?:[^{delimiter}{quote}{escape}]|{escape}.)", rf"(?:[^{delimiter}{escape}]|{escape}.)")
        if not self.escape:
            first, more = rf"[^{delimiter}{quote}]", rf"[^{delimiter}]"
        return re.compile(rf"(?:{quote}({inner}){quote}|({first}{more}*+|))({delimiter}|\Z)", re.DOTALL)

    @cached_property
    def _opening(self) -> re.Pattern[bytes]:
        delimiter, quote, _ = self._patterns
        return re.compile(f"{delimiter}{quote}".encode())

    @cached_property
    def _first_opening(self) -> re.Pattern[bytes]:
        delimiter, quote, _ = self._patterns
        return re.compile(rf"(?:\A|{delimiter}){quote}".encode())

    @cached_property
    def _closing(self) -> re.Pattern[bytes]:
        _, quote, inner = self._patterns
        return re.compile(rf"{inner}{quote}".encode(), re.DOTALL)

    @cached_property
    def _escaped(self) -> re.Pattern[str]:
        return re.compile(rf"{re.escape(self.escape)}(.)", re.DOTALL)
