"""An Excel workbook of one sheet: real dates and numbers, texts that stay texts, a header that stays in sight."""

import json
from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from machine_monitor.query.exports import Cells, Column

MAX_ROWS = 100_000
# In units of UTF-16; of a longer text only so much is written.
MAX_TEXT = 32_767
TIME_FORMAT = "yyyy-mm-dd hh:mm:ss"
TIME_WIDTH = 19
WIDTH = 16
BLOCK = 256 * 1024


def writer(
    columns: Sequence[Column], name: str, zone: ZoneInfo
) -> Callable[[Iterable[Sequence[Cells]]], Generator[bytes]]:
    """What makes the bytes of a file of its rows, some at a time; while it is built, in a temporary file, of none."""

    def file(parts: Iterable[Sequence[Cells]]) -> Generator[bytes]:
        with TemporaryDirectory(prefix="machine-monitor-") as folder:
            path = Path(folder) / "export.xlsx"
            sheet = Sheet(path, name, columns, zone)
            try:
                for rows in parts:
                    sheet.add(rows)
                    yield b""
                sheet.close()
            finally:
                sheet.discard()
            with path.open("rb") as built:
                while block := built.read(BLOCK):
                    yield block

    return file


class Sheet:
    """Writes rows to a file one after another; memory does not grow with them."""

    def __init__(self, path: Path, name: str, columns: Sequence[Column], zone: ZoneInfo) -> None:
        from xlsxwriter import Workbook  # noqa: PLC0415 -- a service that is asked for none need not carry it

        self._book = Workbook(path, {"constant_memory": True, "tmpdir": str(path.parent)})
        self._sheet = self._book.add_worksheet(name)
        self._time = self._book.add_format({"num_format": TIME_FORMAT})
        self._kinds = [column.kind.name for column in columns]
        self._zone = zone
        self._row = 0
        bold = self._book.add_format({"bold": True})
        for i, column in enumerate(columns):
            self._sheet.set_column(i, i, TIME_WIDTH if column.kind.name == "time" else WIDTH)
            self._sheet.write_string(0, i, column.name, bold)

    def add(self, rows: Sequence[Cells]) -> None:
        """Write these rows."""
        for cells in rows:
            self._row += 1
            for i, (kind, cell) in enumerate(zip(self._kinds, cells, strict=True)):
                if cell is not None:
                    self._write(i, _value(kind, cell))

    def close(self) -> None:
        """Finish the file."""
        self._sheet.freeze_panes(1, 0)
        self._sheet.autofilter(0, 0, self._row, len(self._kinds) - 1)
        self._book.close()

    def discard(self) -> None:
        """Let go of what is open, finished or not."""
        if self._sheet.row_data_fh is not None:
            self._sheet.row_data_fh.close()

    def _write(self, column: int, value: Any) -> None:
        # Each by its own name: `write` would make a formula or a link of some texts.
        if isinstance(value, str):
            self._sheet.write_string(self._row, column, _cut(value))
        elif isinstance(value, bool):
            self._sheet.write_boolean(self._row, column, value)
        elif isinstance(value, datetime):
            local = value.astimezone(self._zone).replace(tzinfo=None)
            self._sheet.write_datetime(self._row, column, local, self._time)
        else:
            self._sheet.write_number(self._row, column, value)


def _value(kind: str, cell: str) -> Any:
    if kind == "time":
        return datetime.fromisoformat(cell)
    return json.loads(cell) if kind in ("integer", "boolean", "value") else cell


def _cut(text: str) -> str:
    """As much of a text as a cell holds."""
    if len(text) <= MAX_TEXT // 2:
        return text
    # A sign that is cut in two goes.
    return text.encode("utf-16-le")[: 2 * MAX_TEXT].decode("utf-16-le", errors="ignore")
