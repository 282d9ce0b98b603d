"""Read times: by the formats of a mapping, tried in order, in its time zone."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from machine_monitor.database import instants
from machine_monitor.query.language.folding import fold
from machine_monitor.query.language.times import EARLIEST, LATEST, local_to_utc
from machine_monitor.services.imports.mapping.cells import CellFault, MappingFault, cell_text
from machine_monitor.services.imports.reader import Cell

FORMATS = ("iso", "ymd", "dmy", "mdy", "excel")
# The day that Excel counts from.
EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 -- a local time
MAX_SERIAL = 2_958_466
MONTHS = (
    ("january", "janvier", "januar"),
    ("february", "fevrier", "februar"),
    ("march", "mars", "marz"),
    ("april", "avril", "april"),
    ("may", "mai", "mai"),
    ("june", "juin", "juni"),
    ("july", "juillet", "juli"),
    ("august", "aout", "august"),
    ("september", "septembre", "september"),
    ("october", "octobre", "oktober"),
    ("november", "novembre", "november"),
    ("december", "decembre", "dezember"),
)
_CLOCK = (
    r"(?:(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"|[hH](?P<minute_h>\d\d))(?:\s?(?P<half>[AaPp])\.?[Mm]\.?)?)"
)
_DAY_PART, _MONTH_PART = r"\d{1,2}", r"\d{1,2}|[^\W\d_]{3,12}\.?"
_ORDERS = {
    "ymd": (r"(?P<year>\d{4})", rf"(?P<month>{_MONTH_PART})", rf"(?P<day>{_DAY_PART})"),
    "dmy": (rf"(?P<day>{_DAY_PART})", rf"(?P<month>{_MONTH_PART})", r"(?P<year>\d{4}|\d\d)"),
    "mdy": (rf"(?P<month>{_MONTH_PART})", rf"(?P<day>{_DAY_PART})", r"(?P<year>\d{4}|\d\d)"),
}
_PATTERNS = {
    name: re.compile(rf"{first}(?P<sign>[-/. ]){second}(?P=sign){third}(?:[ T]{_CLOCK})?")
    for name, (first, second, third) in _ORDERS.items()
}
_ISO = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:[Tt ](?P<clock>\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)"
    r" ?(?P<offset>[Zz]|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
_SERIAL = re.compile(r"\d{1,7}(?:[.,]\d{1,12})?", re.ASCII)
SAMPLE_TIME = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
OUT_OF_RANGE = "The time must be between 1970 and 2100."
# A text that a format reads: a local time, or an instant.
Parser = Callable[[str], datetime | None]


def is_format(name: str) -> bool:
    """Whether this is a format of times: one of ours, or one of strptime that reads what it writes."""
    if name in FORMATS or "%" not in name:
        return name in FORMATS
    try:
        datetime.strptime(SAMPLE_TIME.strftime(name), name)  # noqa: DTZ007 -- not a time
    except (ValueError, re.error):  # a directive that there is not, or is there twice
        return False
    return True


@dataclass
class DayMonthEvidence:
    """How many cells could be read as day and month in either order, and how many of all decide between the two."""

    cells: int = 0
    deciding: int = 0


class DateReader:
    """Reads the times of one field."""

    def __init__(self, formats: Sequence[str], zone: ZoneInfo | None) -> None:
        self._zone = zone
        self.evidence = DayMonthEvidence()
        self._parsers = [self._parser(name) for name in formats]
        self._reads_serials = "excel" in formats
        # A date cell that is joined with an hour is written year first, whatever the formats.
        self._joined_parser = self._parser("ymd")

    def read(self, cell: Cell, *, is_joined_date: bool = False) -> str:
        """Return the instant of a cell in the form of the API; raises `CellFault`."""
        if isinstance(cell, datetime):
            return self._instant(cell)
        if isinstance(cell, date):
            return self._instant(datetime.combine(cell, time()))
        text = cell_text(cell).strip()
        parsers = [self._joined_parser, *self._parsers] if is_joined_date else self._parsers
        fault: CellFault | None = None
        for parse in parsers:
            try:
                moment = parse(text)
                if moment is not None:
                    return self._instant(moment)
            except MappingFault:
                raise
            except CellFault as error:
                fault = fault or error
            except (ValueError, OverflowError):
                continue
        raise fault or CellFault("not-a-date", "The cell is not a time in the formats of the mapping.")

    def _instant(self, moment: datetime) -> str:
        if moment.tzinfo is not None:
            return format_in_range(moment.astimezone(UTC))
        if self._zone is None:
            raise MappingFault("no-zone", "The time has no offset: the mapping needs a 'zone', such as Europe/Paris.")
        return local_instant(moment, self._zone)

    def _parser(self, name: str) -> Parser:
        if name in _PATTERNS:
            return lambda text: self._ordered(name, text)
        return {"iso": _iso, "excel": _serial}.get(name, lambda text: datetime.strptime(text, name))  # noqa: DTZ007 -- the zone follows

    def _ordered(self, name: str, text: str) -> datetime | None:
        match = _PATTERNS[name].fullmatch(text)
        if match is None:
            return None
        month = int(match["month"]) if match["month"].isdecimal() else month_number(match["month"])
        year = int(match["year"])
        if len(match["year"]) == 2:
            year += 1900 if year >= 70 else 2000
        moment = datetime.combine(date(year, month, int(match["day"])), _clock(match))
        if name != "ymd" and match["month"].isdecimal():
            self.evidence.cells += 1
            self.evidence.deciding += moment.day > 12
        return moment


def local_instant(local: datetime, zone: ZoneInfo) -> str:
    """Return a local time as an instant in the form of the API; raises `CellFault` if no record can have it."""
    try:
        instant = local_to_utc(local, zone)[0]
    except OverflowError:
        raise CellFault("out-of-range", OUT_OF_RANGE) from None
    return format_in_range(instant)


def format_in_range(instant: datetime) -> str:
    """Return an instant in the form of the API; raises `CellFault` if no record can have it."""
    if not EARLIEST <= instant < LATEST:
        raise CellFault("out-of-range", OUT_OF_RANGE)
    return instants.format_instant(instant)


@lru_cache(maxsize=256)
def month_number(name: str) -> int:
    """Return the month of a name or of its beginning, in English, French or German; raises `ValueError`."""
    text = fold(name).rstrip(".")
    months = {number for number, names in enumerate(MONTHS, 1) if any(each.startswith(text) for each in names)}
    if text == "sept":
        return 9
    if len(months) != 1:
        raise ValueError(name)
    return months.pop()


def _clock(match: re.Match[str]) -> time:
    """Return the time of day; midnight if there is none. Raises `ValueError` for hours that no clock shows."""
    if match["hour"] is None:
        return time()
    hour, minute = int(match["hour"]), int(match["minute"] or match["minute_h"])
    if match["half"] is not None:
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + (12 if match["half"] in "Pp" else 0)
    fraction = (match["fraction"] or "")[:6].ljust(6, "0")
    return time(hour, minute, int(match["second"] or 0), int(fraction))


def _iso(text: str) -> datetime | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    day, clock, offset = match["day"], match["clock"], match["offset"]
    if clock is None:
        return datetime.combine(date.fromisoformat(day), time())
    hours, _, fraction = clock.replace(",", ".").partition(".")
    if int(hours[:2]) > 23:  # Python 3.14 would take 24:00 for the next day
        raise ValueError(text)
    local = datetime.fromisoformat(f"{day}T{hours}")
    local = local.replace(microsecond=int(fraction[:6].ljust(6, "0")) if fraction else 0)
    if offset is None:
        return local
    offset = "+00:00" if offset in "Zz" else f"{offset[:3]}:{offset[-2:]}"
    return datetime.fromisoformat(f"{local.isoformat()}{offset}")


def _serial(text: str) -> datetime | None:
    if not _SERIAL.fullmatch(text):
        return None
    number = float(text.replace(",", "."))
    if not 1 <= number < MAX_SERIAL:
        return None
    return EXCEL_EPOCH + timedelta(milliseconds=round(number * 86_400_000))
