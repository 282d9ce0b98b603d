"""Excel workbooks with one sheet: real dates and numbers, texts that are never formulas, a frozen header."""

import json
from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from machine_monitor.query.exports import Cells, Column

MAX_ROWS = 100_000
# The limit of Excel, in UTF-16 code units; longer texts are truncated.
MAX_CELL_LENGTH = 32_767
TIME_FORMAT = "yyyy-mm-dd hh:mm:ss"
TIME_WIDTH = 19
DEFAULT_WIDTH = 16
CHUNK_SIZE = 256 * 1024


def writer(
    columns: Sequence[Column], name: str, zone: ZoneInfo
) -> Callable[[Iterable[Sequence[Cells]]], Generator[bytes]]:
    """Return a function that turns chunks of rows into chunks of a file.

    The workbook is built in a temporary file. Until it is complete, the chunks are empty: they let the sender notice a
    disconnected client.
    """

    def file(chunks: Iterable[Sequence[Cells]]) -> Generator[bytes]:
        with TemporaryDirectory(prefix="machine-monitor-") as folder:
            path = Path(folder) / "export.xlsx"
            sheet = Sheet(path, name, columns, zone)
            try:
                for rows in chunks:
                    sheet.add(rows)
                    yield b""
                sheet.close()
            finally:
                sheet.discard()
            with path.open("rb") as workbook:
                while chunk := workbook.read(CHUNK_SIZE):
                    yield chunk

    return file


class Sheet:
    """Writes rows to a workbook one by one, with constant memory."""

    def __init__(self, path: Path, name: str, columns: Sequence[Column], zone: ZoneInfo) -> None:
        from xlsxwriter import Workbook  # noqa: PLC0415 -- only exports to Excel need it

        self._book = Workbook(path, {"constant_memory": True, "tmpdir": str(path.parent)})
        self._sheet = self._book.add_worksheet(name)
        self._time = self._book.add_format({"num_format": TIME_FORMAT})
        self._kinds = [column.kind.name for column in columns]
        self._zone = zone
        self._row = 0
        bold = self._book.add_format({"bold": True})
        for i, column in enumerate(columns):
            self._sheet.set_column(i, i, TIME_WIDTH if column.kind.name == "time" else DEFAULT_WIDTH)
            self._sheet.write_string(0, i, column.name, bold)

    def add(self, rows: Sequence[Cells]) -> None:
        """Append rows."""
        for cells in rows:
            self._row += 1
            for i, (kind, cell) in enumerate(zip(self._kinds, cells, strict=True)):
                if cell is not None:
                    self._write(i, _python_value(kind, cell))

    def close(self) -> None:
        """Finish the workbook."""
        self._sheet.freeze_panes(1, 0)
        self._sheet.autofilter(0, 0, self._row, len(self._kinds) - 1)
        self._book.close()

    def discard(self) -> None:
        """Close the temporary files, also of an unfinished workbook."""
        if self._sheet.row_data_fh is not None:
            self._sheet.row_data_fh.close()

    def _write(self, column: int, value: Any) -> None:
        # Not `write`, which turns some texts into formulas or links.
        if isinstance(value, str):
            self._sheet.write_string(self._row, column, truncate(value))
        elif isinstance(value, bool):
            self._sheet.write_boolean(self._row, column, value)
        elif isinstance(value, datetime):
            local = value.astimezone(self._zone).replace(tzinfo=None)
            self._sheet.write_datetime(self._row, column, local, self._time)
        else:
            self._sheet.write_number(self._row, column, value)


def _python_value(kind: str, cell: str) -> Any:
    if kind == "time":
        return datetime.fromisoformat(cell)
    return json.loads(cell) if kind in ("integer", "boolean", "value") else cell


def truncate(text: str) -> str:
    """Truncate a text to the length that a cell can hold."""
    if len(text) <= MAX_CELL_LENGTH // 2:
        return text
    # `ignore` drops a character that was cut in half.
    return text.encode("utf-16-le")[: 2 * MAX_CELL_LENGTH].decode("utf-16-le", errors="ignore")
