"""Read numbers with a decimal sign, a sign between groups of three, and a unit."""

import math
import re
from decimal import Decimal

from machine_monitor.query.language.values import MAX_INTEGER
from machine_monitor.services.imports.mapping.cells import CellFault, cell_text
from machine_monitor.services.imports.reader import Cell

_BLANKS = r"[ \u00a0\u2007\u2009\u202f]"
NOT_A_NUMBER = "The cell is not a number."


class NumberReader:
    """Reads the numbers of one field."""

    def __init__(self, decimal: str = ".", thousands: str | None = None, unit: str | None = None) -> None:
        points = {"any": "[.,]"}.get(decimal, re.escape(decimal))
        group = "" if not thousands else _BLANKS if thousands.isspace() else re.escape(thousands)
        whole = rf"\d{{1,3}}(?:{group}\d{{3}})+|\d+" if group else r"\d+"
        self._unit = (unit or "").strip()
        self._group = re.compile(group) if group else None
        self._pattern = re.compile(
            rf"(?P<sign>[+\-\u2212]?)(?P<whole>{whole})?(?:{points}(?P<part>\d*))?"
            r"(?:[eE](?P<power>[+-]?\d{1,3}))?(?P<behind>[-\u2212]?)",
            re.ASCII,
        )

    def read(self, cell: Cell) -> int | float:
        """Return the number of a cell; raises `CellFault`."""
        if isinstance(cell, bool):
            raise CellFault("not-a-number", NOT_A_NUMBER)
        if isinstance(cell, int | float):
            return _bounded(cell)
        text = cell_text(cell).strip()
        if self._unit and text.endswith(self._unit):
            text = text.removesuffix(self._unit).rstrip()
        match = self._pattern.fullmatch(text) if len(text) <= 400 else None
        if match is None or not (match["whole"] or match["part"]) or (match["sign"] and match["behind"]):
            raise CellFault("not-a-number", NOT_A_NUMBER)
        whole = match["whole"] or "0"
        whole = self._group.sub("", whole) if self._group else whole
        sign = "-" if (match["sign"] or match["behind"]) in ("-", "\u2212") else ""
        if match["part"] is None and match["power"] is None:
            return _bounded(int(sign + whole))
        number = Decimal(f"{sign}{whole}.{match['part'] or '0'}e{match['power'] or '0'}")
        return _bounded(float(number))

    def read_integer(self, cell: Cell) -> int:
        """Return the whole number of a cell, which may be written `2,0`; raises `CellFault`."""
        try:
            number = self.read(cell)
        except CellFault as fault:
            if fault.code == "not-a-number":
                raise CellFault("not-an-integer", "The cell is not a whole number.") from None
            raise
        if isinstance(number, float) and not number.is_integer():
            raise CellFault("not-an-integer", "The cell is not a whole number.")
        return int(number)


def _bounded(number: float) -> int | float:
    """Return a finite number; a whole one is an integer, whatever its cell or its format."""
    if isinstance(number, float) and number.is_integer() and abs(number) <= MAX_INTEGER:
        return int(number)
    if not math.isfinite(number) or (isinstance(number, int) and abs(number) > MAX_INTEGER):
        raise CellFault("out-of-range", "The number is too large.")
    return number
