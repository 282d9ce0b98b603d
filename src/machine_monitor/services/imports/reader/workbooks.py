"""Read a sheet of a workbook: XLSX row by row, XLS and ODS in a process of its own.

A workbook is hostile input: a few kilobytes can claim billions of cells. XLSX is read as a stream, in which cells that
are not there cost nothing. The library for XLS and ODS builds the whole sheet in memory, and ends its process if that
fails; it therefore runs in a process with a limit.
"""

import io
import json
import shutil
import subprocess
import tempfile
import warnings
import zipfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from machine_monitor.errors import UsageError
from machine_monitor.services.files import isolation
from machine_monitor.services.imports.reader import compression, recognition, workbook_process
from machine_monitor.services.imports.reader.table import Cell, ReadOptions, Row, Table
from machine_monitor.services.imports.reader.workbook_process import EMPTY_VALUES, UNREADABLE, decode_row
from machine_monitor.suggestions import did_you_mean

# What the parts of an XLSX file may unpack to. The rows are a stream; texts and styles are held in memory.
MAX_STREAM_BYTES = 4 * 1024**3
MAX_PART_BYTES = 256 * 1024**2
MAX_STYLE_BYTES = 16 * 1024**2
# The last row of a sheet in Excel.
MAX_ROW = 1_048_576
SAMPLE_ROWS = 50


def kind_of_zip(path: Path) -> str:
    """Return `xlsx` or `ods`; raises `UsageError` for any other archive."""
    with _unpacked(path) as plain, _archive(path, plain) as archive:
        names = {info.filename for info in archive.infolist()}
    if "xl/workbook.xml" in names:
        return "xlsx"
    if "content.xml" in names:
        return "ods"
    # `mm sync` and uploads recognise the archive of a legacy folder before they look for a table.
    raise UsageError(
        f"{path} is an archive, but neither a workbook that can be read nor the folder of the legacy tool."
    )


def open_workbook(path: Path, options: ReadOptions) -> Table:
    """Open a sheet as a table."""
    sheet = 1 if options.sheet is None else options.sheet
    iterate = partial(_rows, path, options.format or "xlsx", sheet)
    first = [recognition.SampleRow(row.number, row.cells) for row in islice(iterate(), SAMPLE_ROWS)]
    line = recognition.header_row(first) if options.header is None else options.header
    names = recognition.column_names(next((row.cells or () for row in first if row.number == line), ()))
    # Without a header, the widest of the first rows says how many columns there are.
    width = len(names) if line else max((len(recognition.column_names(row.cells or ())) for row in first), default=0)
    return Table(
        path,
        replace(ReadOptions(format=options.format, sheet=sheet), header=line),
        names,
        width,
        lambda: islice(iterate(), line, None),
        path.stat().st_size,
        [";".join("" if cell is None else str(cell) for cell in row.cells or ()) for row in first[: max(line - 1, 0)]],
    )


def _rows(path: Path, kind: str, sheet: int | str) -> Iterator[Row]:
    read = _xlsx if kind == "xlsx" else _in_process
    size = path.stat().st_size
    with _unpacked(path) as plain:
        for number, cells in enumerate(read(path, plain, sheet), 1):
            # The position in the file is not known: count on without an end.
            yield Row(number, min(number * 64, size), cells)


@contextmanager
def _unpacked(path: Path) -> Generator[Path]:
    """Yield the path of the workbook itself, also of one that is compressed once more."""
    if compression.kind(path) is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="machine-monitor-") as folder:
        plain = Path(folder) / "workbook"
        with compression.open_plain(path) as (file, _), plain.open("wb") as copy:
            shutil.copyfileobj(file, copy)
        yield plain


@contextmanager
def _archive(path: Path, plain: Path) -> Generator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(plain) as archive:
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
        raise UsageError(f"{path} is damaged, or protected by a password: {error}.") from None


def _check_sizes(path: Path, plain: Path) -> None:
    """Raise `UsageError` if the parts of a workbook unpack to more than this process should hold."""
    with _archive(path, plain) as archive:
        for part in archive.infolist():
            is_sheet = part.filename.startswith("xl/worksheets/")
            limit = MAX_STREAM_BYTES if is_sheet else MAX_PART_BYTES
            if part.filename.endswith(("styles.xml", "workbook.xml", ".rels", "[Content_Types].xml")):
                limit = MAX_STYLE_BYTES
            if part.file_size > limit:
                raise UsageError(f"{path} is too large: its part {part.filename} has {part.file_size:,} bytes.")


def _xlsx(path: Path, plain: Path, sheet: int | str) -> Iterator[Sequence[Cell]]:
    """Yield the rows of a sheet of an XLSX file: the last values of formulas, dates by the format of their cell."""
    from openpyxl import load_workbook  # noqa: PLC0415 -- only imports of workbooks need it

    _check_sizes(path, plain)
    # Not the path: openpyxl wants a known suffix there.
    with plain.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            book = load_workbook(io.BufferedReader(file.raw), read_only=True, data_only=True, keep_links=False)
            worksheet = book[sheet_name(path, book.sheetnames, sheet)]
            worksheet.reset_dimensions()
            for number, row in enumerate(worksheet.iter_rows(values_only=True)):
                _check_number(path, number)
                yield _cells(row)
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 -- a damaged workbook fails anywhere in the library
            raise UsageError(f"{path} is damaged: it cannot be read as a workbook ({type(error).__name__}).") from None


def _check_number(path: Path, number: int) -> None:
    if number >= MAX_ROW:
        raise UsageError(f"{path} has more than {MAX_ROW:,} rows, which no workbook can have.")


def _cells(row: Sequence[Any]) -> list[Cell]:
    return [None if isinstance(cell, str) and cell in EMPTY_VALUES else cell for cell in row]


def sheet_name(path: Path, names: Sequence[str], sheet: int | str) -> str:
    """Return the name of a sheet that is given by name or by number; raises `UsageError`."""
    if isinstance(sheet, int) and 1 <= sheet <= len(names):
        return names[sheet - 1]
    if isinstance(sheet, str) and sheet in names:
        return sheet
    hint = did_you_mean(sheet, names) if isinstance(sheet, str) else ""
    raise UsageError(f"{path} has no sheet {sheet!r}; it has {', '.join(map(repr, names[:20]))}.{hint}")


def _in_process(path: Path, plain: Path, sheet: int | str) -> Iterator[Sequence[Cell]]:
    """Yield the rows of a sheet that another process reads."""
    script = Path(workbook_process.__file__)
    with isolation.start(script, str(plain.absolute()), json.dumps(sheet), stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            for line in process.stdout:
                yield decode_row(line)
            error_output = process.stderr.read().decode(errors="replace")
            if process.wait():
                message = error_output.strip().splitlines()[-1:] if process.returncode == UNREADABLE else []
                raise UsageError(f"{path}: {''.join(message) or 'the workbook is damaged, or too large to be read.'}")
        finally:
            process.kill()
