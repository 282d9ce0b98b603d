"""Months in the site's time zone, as instants in microseconds since 1970."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from machine_monitor.query import calendar
from machine_monitor.query.calendar import UNITS
from machine_monitor.query.language.times import EARLIEST

_MONTH = UNITS["month"]


def to_datetime(instant: int) -> datetime:
    """Return an instant as a datetime in UTC."""
    return EARLIEST + timedelta(microseconds=instant)


def start_of_month(instant: datetime, zone: ZoneInfo) -> int:
    """Return the start of the month in which an instant lies."""
    return calendar.start_of_day(_first_day(instant, zone), zone)


def months_between(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[int]:
    """Yield the starts of the months in which the time from `start` until just before `end` lies."""
    day, last = _first_day(start, zone), calendar.epoch_microseconds(end)
    while (month := calendar.start_of_day(day, zone)) < last:
        yield month
        day = _MONTH.next_start(day)


def whole_months(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[int, int] | None:
    """Return the span of the months that lie wholly in a window; None if none does."""
    months = [*months_between(start, end, zone), start_of_month(end, zone)]
    first = next((month for month in months if month >= calendar.epoch_microseconds(start)), months[-1])
    return (first, months[-1]) if first < months[-1] else None


def _first_day(instant: datetime, zone: ZoneInfo) -> date:
    return _MONTH.first_day(_MONTH.name(calendar.local_date(instant, zone)))
