"""Read durations: by the formats of a mapping, tried in order."""

import re
from collections.abc import Sequence
from datetime import time, timedelta

from machine_monitor.query.language.folding import fold
from machine_monitor.services.imports.mapping.cells import CellFault, cell_text
from machine_monitor.services.imports.reader import Cell

_NUMBER = r"(\d{1,9}(?:[.,]\d{1,9})?|[.,]\d{1,9})"
_HOUR_WORD = r"(?:heures?|hours?|stunden?|std\.?|hrs?\.?|h)"
_MINUTE_WORD = r"(?:minutes?|minuten?|mins?\.?|mn|m|')"
_SECOND_WORD = r"(?:secondes?|seconds?|sekunden?|secs?\.?|sek\.?|s)"
_DAY_WORD = r"(?:jours?|days?|tage?|j|d|t)"
# Each pattern has groups of days, hours, minutes and seconds by name. A number of minutes after hours is below 60.
_WHOLE = r"\d{1,6}"
PATTERNS = {
    "h": rf"(?P<h>{_NUMBER})\s?{_HOUR_WORD}?",
    "min": rf"(?P<m>{_NUMBER})\s?{_MINUTE_WORD}?",
    "s": rf"(?P<s>{_NUMBER})\s?{_SECOND_WORD}?",
    "d": rf"(?P<d>{_NUMBER})\s?{_DAY_WORD}?",
    "HhM": rf"(?P<h>{_WHOLE})\s?h\s?(?P<m2>[0-5]?\d)?(?:\s?(?:{_MINUTE_WORD}))?",
    "H:M": rf"(?P<h>{_WHOLE}):(?P<m2>[0-5]\d)(?::(?P<s2>[0-5]\d)(?:[.,]\d{{1,9}})?)?",
    "H heures M min": (
        rf"(?:(?P<d>{_WHOLE})\s?{_DAY_WORD}\s*)?(?:(?P<h>{_WHOLE})\s?{_HOUR_WORD}\s*(?:et|and|und)?\s*)?"
        rf"(?:(?P<m2>{_WHOLE})\s?{_MINUTE_WORD}\s*)?(?:(?P<s2>{_WHOLE})\s?{_SECOND_WORD})?"
    ),
}
# Other ways to write the names of formats.
SPELLINGS = (
    (r"h|hrs?|hours?|heures?|stunden?|std", "h"),
    (r"m|mn|mins?|minutes?|minuten", "min"),
    (r"s|secs?|seconds?|secondes?|sek|sekunden", "s"),
    (r"d|days?|j|jours?|tage?", "d"),
    (r"H{1,2}:M{1,2}(:S{1,2})?", "H:M"),
    (r"H\s?h\s?M{1,2}(\s?m(n|in)?)?", "HhM"),
)
_NAMED_UNIT = re.compile(rf"[DHMS]\s?(?:{_DAY_WORD}|{_HOUR_WORD}|{_MINUTE_WORD}|{_SECOND_WORD})")
NAMES = tuple(PATTERNS)
_COMPILED = {name: re.compile(pattern, re.ASCII | re.IGNORECASE) for name, pattern in PATTERNS.items()}
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "m2": 60, "s": 1, "s2": 1}
NOT_A_DURATION = "The cell is not a duration in the formats of the mapping."
# Longer than any stop between 1970 and 2100.
MAX_SECONDS = 131 * 366 * 86_400


def format_of(name: str) -> str | None:
    """Return the format that a mapping names; None if there is none."""
    if name in PATTERNS:
        return name
    found = next((form for spelling, form in SPELLINGS if re.fullmatch(spelling, name)), None)
    return "H heures M min" if found is None and ":" not in name and _NAMED_UNIT.search(name) else found


class DurationReader:
    """Reads the durations of one field. Cells of a workbook that are durations need no format."""

    def __init__(self, formats: Sequence[str]) -> None:
        self._patterns = [_COMPILED[format_of(name) or "h"] for name in formats]

    def read(self, cell: Cell) -> timedelta:
        """Return the duration of a cell; raises `CellFault`."""
        if isinstance(cell, time):
            cell = timedelta(hours=cell.hour, minutes=cell.minute, seconds=cell.second)
        if isinstance(cell, timedelta):
            if cell < timedelta():
                raise CellFault("not-a-duration", "A duration cannot be negative.")
            return cell
        text = fold(cell_text(cell).strip())
        if text.startswith("-"):
            raise CellFault("not-a-duration", "A duration cannot be negative.")
        for pattern in self._patterns:
            match = pattern.fullmatch(text)
            if text and match is not None:
                parts = {name: part for name, part in match.groupdict().items() if part is not None}
                seconds = sum(float(part.replace(",", ".")) * _SECONDS[name] for name, part in parts.items())
                if seconds > MAX_SECONDS:
                    raise CellFault("out-of-range", "The duration is too long.")
                return timedelta(milliseconds=round(seconds * 1000))
        raise CellFault("not-a-duration", NOT_A_DURATION)
