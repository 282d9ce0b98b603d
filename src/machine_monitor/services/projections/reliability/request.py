"""Parse the query of `/reliability`: a window, filters on machines, and the fields to group by."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from machine_monitor.models import LOGS, MACHINES
from machine_monitor.query import calendar
from machine_monitor.query.calendar import UNITS
from machine_monitor.query.language.parser import Condition, QueryPairs, QueryParser
from machine_monitor.query.language.summaries import WINDOW_PARAMETERS, group_by_parser, parse_bounds
from machine_monitor.query.language.times import TimeContext, parse_time_filter

DEFAULT_FROM = "-90d"
PARAMETERS = frozenset({"group_by"}) | WINDOW_PARAMETERS
MACHINE = "machine"
# What machines can be grouped by: no long texts, no times.
GROUP_FIELDS = (
    MACHINE,
    "machine.sector",
    "machine.usage",
    "machine.manufacturer",
    "machine.model",
    "machine.serial_number",
    "machine.year_of_acquisition",
    "machine.in_service",
    "machine.listed",
)


@dataclass(frozen=True)
class ReliabilityQuery:
    """A validated query: the window [start, end), and conditions on machines."""

    start: datetime
    end: datetime
    group_by: tuple[str, ...]
    conditions: tuple[Condition, ...]
    time_context: TimeContext

    @property
    def unit(self) -> str | None:
        """The requested calendar unit, if any."""
        return next((name for name in self.group_by if name in UNITS), None)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields to group by."""
        return tuple(name for name in self.group_by if name not in UNITS)


def parse_reliability_query(pairs: QueryPairs, time_context: TimeContext) -> ReliabilityQuery:
    """Parse the query string; raises a 422 that names every fault."""
    parser = QueryParser(LOGS, pairs, PARAMETERS)
    parser.reject_filters(is_about_machines)
    conditions = tuple(_on_machines(condition) for condition in parser.conditions(time_context))
    group_by = parser.parse_reserved("group_by", group_by_parser(GROUP_FIELDS), ())
    start, end = parse_past_window(parser, time_context)
    parser.raise_faults()
    return ReliabilityQuery(start, end, group_by, conditions, time_context)


def parse_past_window(parser: QueryParser, time_context: TimeContext) -> tuple[datetime, datetime]:
    """Parse `from` and `to`: `to` is at most now, and `from` is 90 days before it by default."""
    window = parse_bounds(parser, time_context)
    end = min(window.end or time_context.now, time_context.now)
    start = window.start or parse_time_filter(DEFAULT_FROM, replace(time_context, now=end))
    assert isinstance(start, datetime)
    if start >= end:
        parser.add_fault("from", "'from' must be before 'to', which is at most now.")
    return start, end


def buckets_of(query: ReliabilityQuery) -> Iterator[tuple[str, int]]:
    """Yield the name and the start of each calendar bucket, oldest first; the first begins with the window.

    Without a calendar unit there is one, without a name.
    """
    first, last = map(calendar.epoch_microseconds, (query.start, query.end))
    if query.unit is None:
        yield "", first
        return
    unit, zone = UNITS[query.unit], query.time_context.zone
    day = unit.first_day(unit.name(calendar.local_date(query.start, zone)))
    while calendar.start_of_day(day, zone) < last:
        following = unit.next_start(day)
        # A zone that moved across the date line has skipped a day: it is empty.
        if calendar.start_of_day(day, zone) < calendar.start_of_day(following, zone):
            yield unit.name(day), max(calendar.start_of_day(day, zone), first)
        day = following


def machine_field(name: str) -> str:
    """Return the name of a machine's field, from its name as a field of logs: `sector` for `machine.sector`."""
    return MACHINES.key if name == MACHINE else name.removeprefix(f"{MACHINE}.")


def is_about_machines(parameter: str) -> bool:
    """Whether a filter of logs is one on their machine."""
    return parameter.partition("__")[0] == MACHINE or parameter.startswith(f"{MACHINE}.")


def _on_machines(condition: Condition) -> Condition:
    """Return a condition on the machine of a log as one on machines."""
    return replace(condition, field=MACHINES.fields[machine_field(condition.field.name)])
