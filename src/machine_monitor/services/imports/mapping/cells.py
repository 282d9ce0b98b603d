"""The text of a cell, and the fault of one that cannot be read."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

from machine_monitor.query.language.folding import fold
from machine_monitor.services.imports.reader import Cell


class CellFault(Exception):
    """A cell cannot be read as its field asks: the code of the report, a sentence, and the text if it is a part."""

    def __init__(self, code: str, message: str, text: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.text = code, message, text


class MappingFault(CellFault):
    """A cell cannot be read because of the mapping: its value does not matter, so all such rows are one problem."""


def cell_text(cell: Cell) -> str:  # noqa: PLR0911 -- one for each type of cell
    """Return a cell as text: whole numbers without `.0`, times as `2023-01-31 02:37:00`. Empty for an empty cell."""
    if isinstance(cell, str):
        return cell
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime):
        at_midnight = cell.time() == time()
        return cell.date().isoformat() if at_midnight else cell.isoformat(" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        seconds = round(cell.total_seconds())
        return f"{'-' if seconds < 0 else ''}{abs(seconds) // 3600}:{abs(seconds) // 60 % 60:02}:{abs(seconds) % 60:02}"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e16:
        return str(int(cell))
    return str(cell)


def fold_text(text: str) -> str:
    """Fold a text for comparison: case, accents and the number of blanks do not matter."""
    return " ".join(fold(text).split())


class Nulls:
    """The texts that mean an empty cell: blank ones, and those of the mapping."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts = frozenset(text.strip() for text in texts) | {""}

    def covers(self, cell: Cell) -> bool:
        """Whether a cell is empty."""
        return cell is None or cell_text(cell).strip() in self._texts
