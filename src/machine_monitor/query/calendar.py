"""Days, weeks, months and years of the site's calendar: of an instant in Python, of a column in a statement.

SQLite knows no time zones and PostgreSQL has rules of its own: both are told the offsets that Python knows.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from operator import itemgetter
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, case, literal_column

from machine_monitor.database import instants
from machine_monitor.database.engines import Engine
from machine_monitor.database.instants import left
from machine_monitor.database.kinds import TIME
from machine_monitor.query.language.times import EARLIEST, LATEST, localize

# The instant from which a zone has an offset, and the offset in seconds.
Offset = tuple[datetime, int]
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Unit:
    """One unit of the calendar; a bucket is known by its name or by its first day."""

    column: Callable[[Engine, ColumnElement], ColumnElement]  # the bucket's name, of a column of days
    name: Callable[[date], str]
    first_day: Callable[[str], date]
    following: Callable[[date], date]


def _week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


UNITS = {
    "day": Unit(lambda _, day: day, date.isoformat, date.fromisoformat, lambda first: first + DAY),
    "week": Unit(
        lambda engine, day: engine.week(day),
        _week,
        lambda name: date.fromisocalendar(int(name[:4]), int(name[6:]), 1),
        lambda first: first + 7 * DAY,
    ),
    "month": Unit(
        lambda _, day: left(day, 7),
        lambda day: day.isoformat()[:7],
        lambda name: date.fromisoformat(f"{name}-01"),
        lambda first: (first + 31 * DAY).replace(day=1),
    ),
    "year": Unit(
        lambda _, day: left(day, 4),
        lambda day: day.isoformat()[:4],
        lambda name: date(int(name), 1, 1),
        lambda first: first.replace(year=first.year + 1),
    ),
}


def day(instant: datetime, zone: ZoneInfo) -> date:
    """The day of an instant."""
    offsets = _offsets(zone)
    seconds = offsets[bisect_right(offsets, instant, key=itemgetter(0)) - 1][1]
    return (instant + timedelta(seconds=seconds)).date()


def day_column(engine: Engine, column: ColumnElement, zone: ZoneInfo) -> ColumnElement:
    """The day of each instant of a column, as text."""
    return engine.day(column, _offset_column(engine, column, _offsets(zone)))


@lru_cache(maxsize=4096)
def beginning(first: date, zone: ZoneInfo) -> int:
    """When a day begins, in microseconds since 1970."""
    return microseconds(localize(datetime.combine(first, time()), zone)[0])


def microseconds(instant: datetime) -> int:
    """The microseconds since 1970."""
    return (instant - EARLIEST) // timedelta(microseconds=1)


def _offset_column(engine: Engine, column: ColumnElement, offsets: Sequence[Offset]) -> ColumnElement:
    """The offset of each instant, found by halves: some eight comparisons for the two changes of every year."""
    middle = len(offsets) // 2
    if middle == 0:
        return literal_column(str(offsets[0][1]))
    border = literal_column(f"'{engine.to_db(instants.format_instant(offsets[middle][0]), TIME)}'")
    earlier, later = (_offset_column(engine, column, half) for half in (offsets[:middle], offsets[middle:]))
    return case((column < border, earlier), else_=later)


@cache
def _offsets(zone: ZoneInfo) -> tuple[Offset, ...]:
    """The zone's offsets from UTC, in the order of time."""
    offsets = [(EARLIEST, _offset(EARLIEST, zone))]
    known = EARLIEST
    while known < LATEST:
        known += DAY
        if _offset(known, zone) != offsets[-1][1]:
            offsets.append(_change(known - DAY, known, zone))
    return tuple(offsets)


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> Offset:
    """When between two instants the offset changes, to the second."""
    old, new = _offset(before, zone), _offset(after, zone)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // timedelta(seconds=2) * timedelta(seconds=1)
        before, after = (before, middle) if _offset(middle, zone) != old else (middle, after)
    # A clock that is put back past midnight tells a day twice: the day has begun, and its buckets stay in order.
    midnight = datetime.combine((after + timedelta(seconds=old - 1)).date(), time(), UTC)
    return max(after, midnight - timedelta(seconds=new)) if new < old else after, new


def _offset(instant: datetime, zone: ZoneInfo) -> int:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(seconds=1)
