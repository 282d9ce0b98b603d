"""Open a file as a table: recognise its format, then read it with what was recognised or given."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from machine_monitor.errors import UsageError
from machine_monitor.services.imports.reader import compression, encodings, json_lines, recognition, workbooks
from machine_monitor.services.imports.reader.recognition import IsKnown
from machine_monitor.services.imports.reader.records import records
from machine_monitor.services.imports.reader.separated import Separator
from machine_monitor.services.imports.reader.table import (
    TEXT_FORMATS,
    WORKBOOKS,
    Cell,
    CellReader,
    ReadOptions,
    Row,
    RowFault,
    Table,
)

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
NOT_DECODED = "The row has bytes that are not {}: save the file in that encoding, or name its encoding."
TOO_LONG = "The row is too long for a record, or a quote in it is not closed."
SUFFIXES = {"csv": "csv", "tsv": "csv", "tab": "csv", "txt": "csv", "ndjson": "ndjson", "jsonl": "ndjson"}


def open_table(path: Path, given: ReadOptions | None = None, is_known: IsKnown | None = None) -> Table:
    """Open a file. Raises `UsageError` if it cannot be read, or is not a table.

    `is_known` tells the columns of a table that needs no guessing.
    A mapping made for a workbook also reads the text file of its refused rows: the content decides what a file is.
    """
    given = given or ReadOptions()
    try:
        detected = _format(path)
        if detected in WORKBOOKS:
            return workbooks.open_workbook(path, replace(given, format=detected))
        if given.format in WORKBOOKS:
            # The delimiter and the encoding of such a file are ours, not the mapping's.
            given = ReadOptions(header=given.header)
        kind = given.format if given.format in TEXT_FORMATS else detected
        options = replace(given, format=kind, encoding=_encoding(path, given.encoding))
        return json_lines.open_lines(path, options) if kind == "ndjson" else _open_separated(path, options, is_known)
    except IsADirectoryError:
        reason = "it is a folder. `mm sync` reads a folder of the legacy tool."
        raise UsageError(f"{path} cannot be read: {reason}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error


def _format(path: Path) -> str:
    """Return the format: by the first bytes for workbooks, else by the name, else by the first line."""
    with compression.open_plain(path) as (file, _):
        begin = file.read(4096)
    if begin.startswith(b"PK\x03\x04"):
        return workbooks.kind_of_zip(path)
    if begin.startswith(OLE):
        return "xls"
    names = [name for name in path.name.lower().split(".")[1:] if name not in ("gz", "xz")]
    if names and names[-1] in SUFFIXES:
        return SUFFIXES[names[-1]]
    return "ndjson" if begin.lstrip(encodings.BOM).lstrip().startswith(b"{") else "csv"


def _encoding(path: Path, given: str | None) -> str:
    if given is not None:
        return encodings.check(given)
    with compression.open_plain(path) as (file, _):
        return encodings.recognise(file)


def _open_separated(path: Path, given: ReadOptions, is_known: IsKnown | None) -> Table:
    assert given.encoding is not None
    with compression.open_plain(path) as (file, _):
        plain = encodings.as_utf_8(file, given.encoding)
        sample = plain.read(recognition.SAMPLE_BYTES)
    options = recognition.recognise(sample, given, is_known)
    separator = Separator(options.delimiter or ",", options.quote or "", options.escape or "")
    line, first = options.header or 0, recognition.split_sample(sample, separator)
    # Without a header, the first row says how many columns there are.
    header = next((row.cells or () for row in first if row.number == line or not line), ())
    rows = SeparatedRows(path, options, separator)
    return Table(
        path,
        options,
        recognition.column_names(header) if line else [],
        len(header),
        rows.rows,
        path.stat().st_size,
        sample.decode(errors="replace").removeprefix("\ufeff").splitlines()[: max(line - 1, 0)],
        is_marked=options.encoding in ("utf-8-sig", "utf-16"),
        has_crlf=b"\r\n" in sample,
        with_cells=rows.with_cells,
    )


class SeparatedRows:
    """The rows of a text file with separated values. An empty cell is None, unless it is quoted."""

    def __init__(
        self, path: Path, options: ReadOptions, separator: Separator, read_cell: CellReader | None = None
    ) -> None:
        self._path, self._options, self._separator = path, options, separator
        self._encoding, self._header = options.encoding or "utf-8", options.header or 0
        self._read_cell = read_cell or _plain_cell

    def with_cells(self, read_cell: CellReader) -> Callable[[], Iterator[Row]]:
        """Return the same rows with cells as `read_cell` reads them."""
        return SeparatedRows(self._path, self._options, self._separator, read_cell).rows

    def rows(self) -> Iterator[Row]:
        """Yield the rows below the header."""
        with compression.open_plain(self._path) as (file, position):
            plain = encodings.as_utf_8(file, self._encoding)
            yield from self._rows(plain, position)

    def _rows(self, plain: BinaryIO, position: BinaryIO) -> Iterator[Row]:
        with closing(iter(records(plain, self._separator.ends_in_quotes))) as found:  # ty: ignore[invalid-argument-type] -- a generator
            for record in found:
                if record.number <= self._header:
                    continue
                end = position.tell()
                try:
                    text = record.raw.decode().rstrip("\r\n")
                except UnicodeDecodeError:
                    shown = [record.raw.decode(errors="replace").rstrip("\r\n")]
                    yield Row(record.number, end, shown, RowFault("bad-bytes", NOT_DECODED.format(self._encoding)))
                    continue
                if not record.is_whole:
                    yield Row(record.number, end, [text], RowFault("row-shape", TOO_LONG))
                    continue
                try:
                    cells = self._separator.split(text)
                except ValueError as error:
                    yield Row(record.number, end, [text], RowFault("row-shape", str(error)))
                    continue
                yield Row(record.number, end, [self._read_cell(*cell) for cell in cells])


def _plain_cell(text: str, quoted: bool) -> Cell:  # noqa: FBT001 -- the signature of CellReader
    return text if text or quoted else None
