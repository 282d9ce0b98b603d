"""Recognise how a text file is separated, and which row is the header: by the widths of its first rows."""

import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from machine_monitor.services.imports.reader.records import records
from machine_monitor.services.imports.reader.separated import Separator
from machine_monitor.services.imports.reader.table import Cell, ReadOptions

# In order of preference where two separate equally well, and make as many columns.
DELIMITERS = (",", ";", "\t", "|")
# Whether these are the columns of a table that is known, so that nothing needs to be guessed.
IsKnown = Callable[[Sequence[str]], bool]
SAMPLE_BYTES = 256 * 1024
SAMPLE_ROWS = 200
_NUMBER_OR_DATE = re.compile(r"[-+]?[\d.,:/ -]*\d[\d.,:/ TZ+-]*")


def recognise(sample: bytes, given: ReadOptions, is_known: IsKnown | None = None) -> ReadOptions:
    """Complete the options of a text file in UTF-8 by its first bytes.

    If the first row has the columns of a known table, that is the header. With a single column, a byte order mark means
    the dialect of spreadsheets.
    """
    delimiters = sorted(DELIMITERS, key=lambda sign: sign != ";") if given.encoding == "utf-8-sig" else DELIMITERS
    separators = [
        Separator(delimiter, '"' if given.quote is None else given.quote, escape)
        for delimiter in ([given.delimiter] if given.delimiter else delimiters)
        for escape in (("", "\\") if given.escape is None and b'\\"' in sample else (given.escape or "",))
    ]
    scored = [(separator, split_sample(sample, separator)) for separator in separators]
    known = next(
        (pair for pair in scored if is_known and pair[1] and is_known(column_names(pair[1][0].cells or ()))), None
    )
    separator, rows = known or max(scored, key=lambda pair: _score(pair[1]))
    header = given.header
    if header is None:
        header = rows[0].number if known else header_row(rows)
    recognized = ReadOptions("csv", None, None, separator.delimiter, separator.quote, separator.escape, header)
    return replace(given.over(recognized), escape=separator.escape)


class SampleRow(NamedTuple):
    """A row of a sample: its line, and its cells; None if it cannot be split."""

    number: int
    cells: Sequence[Cell] | None


def split_sample(sample: bytes, separator: Separator) -> list[SampleRow]:
    """Return the first rows of a sample, without blank lines."""
    found: list[SampleRow] = []
    for record in records(io.BytesIO(sample), separator.ends_in_quotes):
        if len(found) == SAMPLE_ROWS:
            break
        text = record.raw.decode(errors="replace").rstrip("\r\n")
        try:
            cells = [cell for cell, _ in separator.split(text)] if record.is_whole else None
        except ValueError:
            cells = None
        found.append(SampleRow(record.number, cells))
    # The end of a sample may be the beginning of a row.
    return found[:-1] if len(sample) >= SAMPLE_BYTES and len(found) > 1 else found


def _score(rows: Sequence[SampleRow]) -> tuple[bool, float, int]:
    """Rate a way to split: whether there are columns at all, how many rows have the usual width, and that width.

    The width decides where each row has a text with one comma: it is not a table of two columns.
    """
    widths = Counter(len(row.cells or ()) for row in rows)
    usual = max(widths, key=lambda width: (widths[width] if width > 1 else 0, width), default=0)
    share = widths[usual] / len(rows) if rows else 0.0
    header = next((row.cells or () for row in rows if row.number == header_row(rows)), ())
    return (usual > 1 and share >= 0.3 and len(header) > 1, round(share, 1), usual)


def header_row(rows: Sequence[SampleRow]) -> int:
    """Return the line of the header: the first row about as wide as the table, of texts rather than values."""
    filled = [[str(cell).strip() for cell in row.cells or () if cell not in (None, "")] for row in rows]
    widths = Counter(map(len, filled))
    usual = max(widths, key=lambda width: (widths[width] if width > 1 else 0, width), default=0)
    for (number, _), cells in zip(rows[:50], filled, strict=False):
        texts = [cell for cell in cells if not _NUMBER_OR_DATE.fullmatch(cell)]
        if len(cells) >= max(2, 0.6 * usual) and len(texts) >= 0.8 * len(cells) and len(set(cells)) >= 0.8 * len(cells):
            return number
    return rows[0].number if rows else 1


def column_names(header: Sequence[Cell]) -> list[str]:
    """Return the names of a header without the blank ends."""
    names = ["" if cell is None else str(cell).strip() for cell in header]
    while names and not names[-1]:
        names.pop()
    return names
