"""Calendar buckets (day, week, month, year) in the site's time zone: of a datetime in Python, of a column in SQL.

SQLite has no time zone database, and PostgreSQL's may differ from Python's. Both therefore get the zone's UTC offsets
as literals in the statement.
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
from machine_monitor.query.language.times import EARLIEST, LATEST, local_to_utc

# A UTC offset transition: the instant at which the offset starts to apply, and the offset in seconds.
OffsetTransition = tuple[datetime, int]
DAY = timedelta(days=1)


@dataclass(frozen=True)
class CalendarUnit:
    """A calendar unit. A bucket is identified by its name (`2025-W07`) or by its first day."""

    name_column: Callable[[Engine, ColumnElement], ColumnElement]  # local dates -> bucket names, in SQL
    name: Callable[[date], str]
    first_day: Callable[[str], date]
    next_start: Callable[[date], date]


def _week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


UNITS = {
    "day": CalendarUnit(lambda _, day: day, date.isoformat, date.fromisoformat, lambda first: first + DAY),
    "week": CalendarUnit(
        lambda engine, day: engine.week(day),
        _week,
        lambda name: date.fromisocalendar(int(name[:4]), int(name[6:]), 1),
        lambda first: first + 7 * DAY,
    ),
    "month": CalendarUnit(
        lambda _, day: left(day, 7),
        lambda day: day.isoformat()[:7],
        lambda name: date.fromisoformat(f"{name}-01"),
        lambda first: (first + 31 * DAY).replace(day=1),
    ),
    "year": CalendarUnit(
        lambda _, day: left(day, 4),
        lambda day: day.isoformat()[:4],
        lambda name: date(int(name), 1, 1),
        lambda first: first.replace(year=first.year + 1),
    ),
}


def local_date(instant: datetime, zone: ZoneInfo) -> date:
    """Return the local date of an instant in this zone."""
    transitions = _transitions(zone)
    seconds = transitions[bisect_right(transitions, instant, key=itemgetter(0)) - 1][1]
    return (instant + timedelta(seconds=seconds)).date()


def local_date_column(engine: Engine, column: ColumnElement, zone: ZoneInfo) -> ColumnElement:
    """Return an SQL expression for the local date of a timestamp column, as text (YYYY-MM-DD)."""
    return engine.day(column, _offset_column(engine, column, _transitions(zone)))


@lru_cache(maxsize=4096)
def start_of_day(day: date, zone: ZoneInfo) -> int:
    """Return the start of a local day in microseconds since 1970."""
    return epoch_microseconds(local_to_utc(datetime.combine(day, time()), zone)[0])


def epoch_microseconds(instant: datetime) -> int:
    """Return an instant in microseconds since 1970."""
    return (instant - EARLIEST) // timedelta(microseconds=1)


def _offset_column(engine: Engine, column: ColumnElement, transitions: Sequence[OffsetTransition]) -> ColumnElement:
    """Return an SQL expression for the UTC offset of each row: a binary search over the transitions, as nested CASEs.

    131 years with two transitions each take about eight comparisons.
    """
    middle = len(transitions) // 2
    if middle == 0:
        return literal_column(str(transitions[0][1]))
    transition = literal_column(f"'{engine.to_db(instants.format_instant(transitions[middle][0]), TIME)}'")
    earlier, later = (_offset_column(engine, column, half) for half in (transitions[:middle], transitions[middle:]))
    return case((column < transition, earlier), else_=later)


@cache
def _transitions(zone: ZoneInfo) -> tuple[OffsetTransition, ...]:
    """Return the zone's UTC offset transitions between EARLIEST and LATEST, oldest first."""
    transitions = [(EARLIEST, _offset(EARLIEST, zone))]
    probe = EARLIEST
    while probe < LATEST:
        probe += DAY
        if _offset(probe, zone) != transitions[-1][1]:
            transitions.append(_find_transition(probe - DAY, probe, zone))
    return tuple(transitions)


def _find_transition(before: datetime, after: datetime, zone: ZoneInfo) -> OffsetTransition:
    """Find the offset transition between two instants by binary search, to the second."""
    old, new = _offset(before, zone), _offset(after, zone)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // timedelta(seconds=2) * timedelta(seconds=1)
        before, after = (before, middle) if _offset(middle, zone) != old else (middle, after)
    # If the clock is set back across midnight, one date occurs twice. Delay the transition until the new clock reaches
    # midnight too, so that time never returns to a bucket that has ended.
    midnight = datetime.combine((after + timedelta(seconds=old - 1)).date(), time(), UTC)
    return max(after, midnight - timedelta(seconds=new)) if new < old else after, new


def _offset(instant: datetime, zone: ZoneInfo) -> int:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(seconds=1)
