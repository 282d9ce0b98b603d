"""A file of the rows that were refused: the table's own columns, and why. The same import reads it once it is fixed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from machine_monitor.errors import UsageError
from machine_monitor.services.imports.mapping.cells import cell_text
from machine_monitor.services.imports.reader import Cell, Row, Table
from machine_monitor.services.imports.reader.table import WHY, WORKBOOKS


@dataclass
class RejectedRows:
    """Writes refused rows to a file, which appears with the first of them."""

    table: Table
    path: Path
    decimal: str = "."
    _file: IO[str] | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, row: Row, why: str) -> None:
        """Write one row."""
        try:
            file = self._file or self._open()
            if self.table.read.format == "ndjson":
                file.write(json.dumps({**(row.members or {}), WHY: why}, ensure_ascii=False) + "\n")
            else:
                file.write(self._line([*self._texts(row), why]))
        except OSError as error:
            raise UsageError(f"Cannot write {self.path}: {error.strerror}.") from error

    def _open(self) -> IO[str]:
        is_workbook = self.table.read.format in WORKBOOKS
        encoding = "utf-8-sig" if is_workbook else self.table.read.encoding or "utf-8"
        self._file = file = self.path.open("w", encoding=encoding, errors="replace", newline="")
        if self.table.read.format != "ndjson":
            file.writelines(line + "\r\n" for line in self.table.preamble)
            if self.table.names:
                names = self.table.names[: self._width]
                file.write(self._line([*names, *[""] * (self._width - len(names)), WHY]))
        return file

    def _texts(self, row: Row) -> list[str | None]:
        """Return the cells as texts, as many as the table has columns, or more."""
        cells = row.cells[:-1] if self.table.has_why and row.fault is None else row.cells
        texts = [self._text(cell) for cell in cells]
        return texts + [None] * (self._width - len(texts))

    @property
    def _width(self) -> int:
        return self.table.width - self.table.has_why

    def _text(self, cell: Cell) -> str | None:
        text = None if cell is None else cell_text(cell)
        return text.replace(".", ",") if text and isinstance(cell, float) and self.decimal == "," else text

    def _line(self, cells: Sequence[str | None]) -> str:
        delimiter = ";" if self.table.read.format in WORKBOOKS else self.table.read.delimiter or ","
        return delimiter.join(self._quoted(cell, delimiter) for cell in cells) + "\r\n"

    def _quoted(self, cell: str | None, delimiter: str) -> str:
        quote = '"' if self.table.read.format in WORKBOOKS else self.table.read.quote or ""
        escape = self.table.read.escape or ""
        if not cell:
            return ""
        if not any(sign and sign in cell for sign in (delimiter, quote, escape, "\n", "\r")):
            return cell
        if escape:
            cell = cell.replace(escape, escape * 2)
        return f"{quote}{cell.replace(quote, quote * 2) if quote else cell}{quote}"
