"""Stats, asked and answered: from kept counts in their zone, else from the records."""

import asyncio
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import canonical_json
from machine_monitor.database.kinds import TIME
from machine_monitor.query import matching
from machine_monitor.query.statements.stats import Grouping, kept_statement, scan_statement
from machine_monitor.query.summaries import buckets
from machine_monitor.query.summaries.requests import Stats

MAX_GROUPS = 10_000
SECOND = 1_000_000


class Sums(NamedTuple):
    """What a row of a statement tells of its group; the last two as `scan_statement` has them."""

    count: int = 0
    failures: int = 0
    standing: int = 0
    seconds: int = 0
    microseconds: int = 0


class Group(NamedTuple):
    """One group: its keys in the order that was asked, and what was measured; `downtime` in microseconds."""

    keys: Sequence[Any]
    count: int
    failures: int
    downtime: int


async def fetch(database: Database, stats: Stats) -> bytes:
    """The groups, as the JSON text that goes out."""
    grouping = _grouping(stats)
    rows = await _fetch(database, stats, grouping)
    # Ten thousand groups take a tenth of a second.
    return await asyncio.to_thread(_document, stats, grouping, rows)


async def _fetch(database: Database, stats: Stats, grouping: Grouping) -> Sequence[tuple]:
    if grouping.kept_as is not None:
        statement = await asyncio.to_thread(kept_statement, database.engine, grouping)
        rows = await database.fetch(statement, {"zone": stats.clock.zone.key, "limit": MAX_GROUPS + 1})
        if rows and (grouping.unit is None or rows[0][0] == stats.clock.zone.key):
            return [row[1:] for row in rows if row[-4] is not None]
    # In a thread: the first statement in a zone looks for all changes of its clock.
    statement = await asyncio.to_thread(scan_statement, database.engine, grouping)
    values = matching.values(database.engine, stats.resource, stats.conditions, stats.terms)
    values["now"] = database.engine.store(instants.text(stats.clock.now), TIME)
    # A row without a group is where all machines run again just as a bucket begins: the bucket before it is a group.
    values["limit"] = 2 * (MAX_GROUPS + 1)
    return await database.fetch(statement, values)


def _grouping(stats: Stats) -> Grouping:
    everything = not stats.conditions and stats.terms == ()
    return Grouping(
        stats.resource,
        None if everything else matching.shape(stats.resource, stats.conditions, stats.terms),
        stats.group_by,
        frozenset(stats.metrics),
        stats.clock.zone if set(stats.group_by) & set(buckets.UNITS) else None,
    )


def _document(stats: Stats, grouping: Grouping, rows: Sequence[Sequence[Any]]) -> bytes:
    found = _groups(grouping, rows if rows or stats.group_by else [(0,) * len(Sums._fields)])
    groups = list(map(_shown(stats), islice(found, MAX_GROUPS)))
    return canonical_json({"groups": groups, "truncated": next(found, None) is not None}).encode()


def _groups(grouping: Grouping, rows: Iterable[Sequence[Any]]) -> Iterator[Group]:
    """The groups in their order, one by one: a long stop makes one of every day."""
    width = len(grouping.names)
    if "downtime" not in grouping.metrics:
        for row in rows:
            yield Group(row[:width], int(row[width] or 0), int(row[width + 1] or 0), 0)
        return
    found = [(tuple(row[:width]), Sums(*[int(number or 0) for number in row[width:]])) for row in rows]
    if grouping.unit is None or grouping.zone is None:
        for keys, sums in found:
            yield Group(keys, sums.count, sums.failures, -_moments(sums))
        return
    place, unit = grouping.names.index(grouping.unit), buckets.UNITS[grouping.unit]
    lines: dict[tuple[tuple, tuple], dict[date, Sums]] = {}
    for keys, sums in found:
        lines.setdefault((keys[:place], keys[place + 1 :]), {})[unit.first_day(keys[place])] = sums
    groups = [_line(unit, grouping.zone, around, line) for around, line in lines.items()]
    yield from heapq.merge(*groups, key=lambda group: [(key is None, key) for key in group.keys])


def _line(unit: buckets.Unit, zone: ZoneInfo, around: tuple[tuple, tuple], line: dict[date, Sums]) -> Iterator[Group]:
    """The groups of all buckets that have the same other keys, `around` the bucket's, in the order of time."""
    before, after = around
    standing, first = 0, date.min
    while line or standing:
        if not standing:
            first = next(iter(line))
        following, sums = unit.following(first), line.pop(first, Sums())
        begin, end = buckets.beginning(first, zone), buckets.beginning(following, zone)
        # Who stands from before does to the end, who stops here from then on; who runs again does not to the end.
        downtime = standing * (end - begin) + sums.standing * end - _moments(sums)
        if sums.count or downtime:
            yield Group((*before, unit.name(first), *after), sums.count, sums.failures, downtime)
        standing, first = standing + sums.standing, following


def _moments(sums: Sums) -> int:
    return sums.seconds * SECOND + sums.microseconds


def _seconds(group: Group) -> int | float:
    seconds, fraction = divmod(group.downtime, SECOND)
    return group.downtime / SECOND if fraction else seconds


MEASURES: dict[str, Callable[[Group], int | float]] = {
    "count": attrgetter("count"),
    "failures": attrgetter("failures"),
    "downtime": _seconds,
}


def _shown(stats: Stats) -> Callable[[Group], dict[str, Any]]:
    """What shows a group; made once, for there may be thousands."""
    names, measures = [*stats.group_by, *stats.metrics], [MEASURES[name] for name in stats.metrics]
    ranks = [
        (i, stats.resource.fields[name].kind.choices) for i, name in enumerate(stats.group_by) if _is_rank(stats, name)
    ]

    def show(group: Group) -> dict[str, Any]:
        keys = list(group.keys)
        for i, choices in ranks:
            keys[i] = choices[int(keys[i])]
        return dict(zip(names, [*keys, *[measure(group) for measure in measures]], strict=True))

    return show


def _is_rank(stats: Stats, name: str) -> bool:
    return name not in buckets.UNITS and stats.resource.fields[name].kind.name == "rank"
