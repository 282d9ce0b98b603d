"""A file of the rows that were refused: the table's own columns, and why. The same import reads it once it is fixed."""

import json
import secrets
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from machine_monitor.errors import UsageError
from machine_monitor.services.imports.mapping.cells import cell_text
from machine_monitor.services.imports.reader import Cell, Row, Table
from machine_monitor.services.imports.reader.table import WHY, WORKBOOKS


def check_path(path: Path | None, *inputs: Path) -> None:
    """Raise `UsageError` if refused rows cannot go to this path, because it is one of the inputs or no file."""
    if path is None:
        return
    for other in inputs:
        if path.exists() and other.exists() and path.samefile(other):
            raise UsageError(f"--rejected: {path} is a file that this import reads. Name another file.")
    if path.exists() and not path.is_file():
        raise UsageError(f"--rejected: {path} is no file.")


@dataclass
class RejectedRows:
    """Writes refused rows to a file, which gets its name when all rows are read.

    If no row was refused, there is no file afterwards: one that an earlier run has left is removed. If the import
    fails, the file of an earlier run stays.
    """

    table: Table
    path: Path
    decimal: str = "."
    count: int = 0

    def __enter__(self) -> Self:
        read = self.table.read
        encoding = "utf-8-sig" if read.format in WORKBOOKS else read.encoding or "utf-8"
        self._partial = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}.partial")
        with self._usage_errors():
            self._file = self._partial.open("x", encoding=encoding, errors="replace", newline="")
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None) -> None:
        try:
            with self._usage_errors():
                self._file.close()
                if kind is None and self.count:
                    self._partial.replace(self.path)
                elif kind is None:
                    self.path.unlink(missing_ok=True)
        finally:
            self._partial.unlink(missing_ok=True)

    def add(self, row: Row, why: str) -> None:
        """Write one row. A line of NDJSON that is not an object is kept as the text `line`."""
        with self._usage_errors():
            if self.table.read.format == "ndjson":
                members = {"line": row.cells[0]} if row.members is None else row.members
                self._file.write(json.dumps({**members, WHY: why}, ensure_ascii=False) + "\n")
            else:
                if not self.count:
                    self._write_header()
                self._file.write(self._line([*self._texts(row), why]))
        self.count += 1

    @contextmanager
    def _usage_errors(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise UsageError(f"Cannot write {self.path}: {error.strerror}.") from error

    def _write_header(self) -> None:
        self._file.writelines(line + "\r\n" for line in self.table.preamble)
        if self.table.names:
            names = self.table.names[: self._width]
            self._file.write(self._line([*names, *[""] * (self._width - len(names)), WHY]))

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
