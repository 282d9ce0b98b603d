"""Periods of the site's calendar: a week, a month, any days; and the period before, with which each is compared."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from machine_monitor.query import calendar
from machine_monitor.query.calendar import UNITS
from machine_monitor.query.language.times import EARLIEST, TimeContext, local_to_utc
from machine_monitor.suggestions import did_you_mean

LAST_WHOLE = ("week", "month", "year")
CURRENT = tuple(f"this-{unit}" for unit in LAST_WHOLE)
DEFAULT = LAST_WHOLE[0]
EXPECTED = (
    f"Write {', '.join(LAST_WHOLE)} (the last whole one), {', '.join(CURRENT)} (until now), "
    "or a period such as 2026-W47, 2026-11, 2026 or 2026-11-02..2026-11-08."
)
_NAMES = {"week": r"\d{4}-W\d\d", "month": r"\d{4}-\d\d", "year": r"\d{4}", "day": r"\d{4}-\d\d-\d\d"}
_DAYS = re.compile(r"(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)", re.ASCII)


class BadPeriod(ValueError):
    """A text that names no period. The message lists the forms of a period."""


@dataclass(frozen=True)
class Period:
    """The time [start, end). `whole_end` is later than `end` if the period is not over yet.

    `name` is that of a calendar unit (`2026-W47`), or of the first and last day; it can be part of a file name.
    """

    name: str
    start: datetime
    end: datetime
    whole_end: datetime


def parse_period(text: str, time_context: TimeContext) -> Period:
    """Return the period that a word, a name or two days mean; raises `BadPeriod`."""
    if text in LAST_WHOLE:
        return _before_today(text, time_context)
    if text in CURRENT:
        unit = UNITS[text.removeprefix("this-")]
        first = unit.first_day(unit.name(time_context.today))
        return _until_now(_period(first, unit.next_start(first), time_context), time_context)
    try:
        first, end = _days(text)
        found = _period(first, end, time_context)
        is_readable = begins_within_times(period_before(found, time_context))
    except (ValueError, OverflowError):
        message = f"'{text}' is not a period.{did_you_mean(text, [*LAST_WHOLE, *CURRENT])} {EXPECTED}"
        raise BadPeriod(message) from None
    if not is_readable or found.start >= time_context.now:
        message = f"'{text}' must begin before now, and the period before it after 1970."
        raise BadPeriod(message)
    return _until_now(found, time_context)


def period_of_window(start: datetime, whole_end: datetime, time_context: TimeContext) -> Period:
    """Return the period of a window, named by its calendar unit or days if it consists of whole ones."""
    zone = time_context.zone
    first, end = calendar.local_date(start, zone), calendar.local_date(whole_end, zone)
    found = _period(first, end, time_context) if first < end else None
    if found is None or (found.start, found.whole_end) != (start, whole_end):
        local = [moment.astimezone(zone).strftime("%Y-%m-%dT%H%M") for moment in (start, whole_end)]
        found = Period("--".join(local), start, whole_end, whole_end)
    return _until_now(found, time_context)


def period_before(period: Period, time_context: TimeContext) -> Period:
    """Return the period of the same kind before this one: of a month, the month before.

    If this one is not over yet, the one before ends at the same point: until Wednesday noon, say.
    """
    zone = time_context.zone
    first, end = calendar.local_date(period.start, zone), calendar.local_date(period.whole_end, zone)
    if _start_of(first, time_context) != period.start or _start_of(end, time_context) != period.whole_end:
        start = period.start - (period.whole_end - period.start)
        return replace(period_of_window(start, period.start, time_context), end=start + (period.end - period.start))
    first_before = _first_before(first, end)
    found = _period(first_before, first, time_context)
    if period.end == period.whole_end:
        return found
    local_end = period.end.astimezone(zone).replace(tzinfo=None) - (first - first_before)
    return replace(found, end=min(local_to_utc(local_end, zone)[0], found.whole_end))


def begins_within_times(period: Period) -> bool:
    """Whether the period begins at a time that a query can have: after 1970."""
    return period.start >= EARLIEST


def _before_today(name: str, time_context: TimeContext) -> Period:
    unit = UNITS[name]
    end = unit.first_day(unit.name(time_context.today))
    return _period(unit.first_day(unit.name(end - timedelta(days=1))), end, time_context)


def _days(text: str) -> tuple[date, date]:
    """Return the first day of the named period, and the day after its last one."""
    if match := _DAYS.fullmatch(text):
        first, last = map(date.fromisoformat, match.groups())
        if first > last:
            raise ValueError
        return first, last + timedelta(days=1)
    for unit, pattern in _NAMES.items():
        if re.fullmatch(pattern, text, re.ASCII):
            first = UNITS[unit].first_day(text)
            return first, UNITS[unit].next_start(first)
    raise ValueError


def _first_before(first: date, end: date) -> date:
    """Return the first day of the period before the days [first, end)."""
    day_before = first - timedelta(days=1)
    unit = _unit_of(first, end)
    return first - (end - first) if unit is None else UNITS[unit].first_day(UNITS[unit].name(day_before))


def _unit_of(first: date, end: date) -> str | None:
    """Return the calendar unit that the days [first, end) are, if any."""
    bounds = ((name, unit.first_day(unit.name(first)), unit) for name, unit in UNITS.items())
    return next((name for name, start, unit in bounds if (start, unit.next_start(start)) == (first, end)), None)


def _period(first: date, end: date, time_context: TimeContext) -> Period:
    """Return the period of the days [first, end)."""
    unit = _unit_of(first, end)
    name = f"{first}--{end - timedelta(days=1)}" if unit is None else UNITS[unit].name(first)
    start, whole_end = (_start_of(day, time_context) for day in (first, end))
    return Period(name, start, whole_end, whole_end)


def _start_of(day: date, time_context: TimeContext) -> datetime:
    microseconds = calendar.start_of_day(day, time_context.zone)
    return (EARLIEST + timedelta(microseconds=microseconds)).astimezone(UTC)


def _until_now(period: Period, time_context: TimeContext) -> Period:
    return replace(period, end=min(period.end, time_context.now))
