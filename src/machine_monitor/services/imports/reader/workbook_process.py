"""Read a sheet of an XLS or ODS workbook in a process of its own, whose memory and time are limited.

    python -I -B workbook_process.py FILE SHEET

SHEET is JSON: a number from 1, or a name. Each row becomes a line of JSON on stdout.
"""

import json
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

# What a sheet may need in memory, and how long reading may take.
MAX_MEMORY_BYTES = 2 * 1024**3
MAX_CPU_SECONDS = 300
# The exit code if the workbook cannot be read; the last line of stderr says why.
UNREADABLE = 3
# Cells without a value: empty ones, and the errors of formulas.
EMPTY_VALUES = frozenset({"", "#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!"})
# Values that JSON has not: a tag, how to write it, and how to read it.
TAGS: dict[type, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    datetime: ("datetime", datetime.isoformat, datetime.fromisoformat),
    date: ("date", date.isoformat, date.fromisoformat),
    time: ("time", time.isoformat, time.fromisoformat),
    timedelta: ("seconds", timedelta.total_seconds, lambda seconds: timedelta(seconds=seconds)),
}
_READERS = {tag: read for tag, _, read in TAGS.values()}


def decode_row(line: bytes) -> list[Any]:
    """Return the cells of a line of this process."""
    return [_READERS[cell[0]](cell[1]) if isinstance(cell, list) else cell for cell in json.loads(line)]


def _encode(cell: Any) -> Any:
    if isinstance(cell, str) and cell in EMPTY_VALUES:
        return None
    if isinstance(cell, datetime):
        # A serial number is not exact: 8:30 may come as 8:29:59.999999.
        cell = cell.min + timedelta(milliseconds=round((cell - cell.min) / timedelta(milliseconds=1)))
    if type(cell) in TAGS:
        tag, write, _ = TAGS[type(cell)]
        return [tag, write(cell)]
    return cell


def _limit() -> None:
    try:
        import resource  # noqa: PLC0415 -- not on Windows
    except ImportError:
        return
    for limit, value in ((resource.RLIMIT_AS, MAX_MEMORY_BYTES), (resource.RLIMIT_CPU, MAX_CPU_SECONDS)):
        _, most = resource.getrlimit(limit)
        resource.setrlimit(limit, (value if most == resource.RLIM_INFINITY else min(value, most), most))


def _write(path: str, sheet: int | str) -> None:
    from python_calamine import CalamineWorkbook  # noqa: PLC0415 -- after the limit

    book = CalamineWorkbook.from_path(path)
    names = book.sheet_names
    name = names[sheet - 1] if isinstance(sheet, int) and 1 <= sheet <= len(names) else str(sheet)
    if name not in names:
        raise ValueError(f"there is no sheet {sheet!r}; there is {', '.join(map(repr, names[:20]))}.")
    worksheet = book.get_sheet_by_name(name)
    begin: Sequence[int] = worksheet.start or (0, 0)
    for _ in range(begin[0]):
        sys.stdout.write("[]\n")
    for row in worksheet.iter_rows():
        sys.stdout.write(json.dumps([None] * begin[1] + [_encode(cell) for cell in row]) + "\n")


def main() -> None:
    """Write the rows, or the reason why there are none."""
    _limit()
    try:
        _write(sys.argv[1], json.loads(sys.argv[2]))
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stderr.close()
    except Exception as error:  # noqa: BLE001 -- a damaged workbook fails anywhere in the library
        sys.stderr.write(f"the workbook cannot be read: {error}\n")
        sys.exit(UNREADABLE)


if __name__ == "__main__":
    main()
