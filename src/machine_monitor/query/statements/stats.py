"""Stats: counts, failures and downtime by fields and by the calendar, from kept counts or from the records."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    SelectBase,
    Text,
    bindparam,
    case,
    func,
    literal_column,
    select,
    true,
    union_all,
)

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.query.statements import counts
from machine_monitor.query.statements.conditions import where
from machine_monitor.query.statements.shapes import Matching
from machine_monitor.query.summaries.buckets import UNITS, day_column
from machine_monitor.query.vocabulary import Field, Resource, Summary

# The unit whose kept counts make up those of another.
SOURCES = {None: counts.EVER, "day": "day", "week": "day", "month": "month", "year": "month"}
LIMIT = bindparam("limit", type_=INTEGER.column_type)
ZERO, ONE = literal_column("0", INTEGER.column_type), literal_column("1", INTEGER.column_type)
MICROSECONDS = literal_column("1000000", BigInteger())


@dataclass(frozen=True)
class Grouping:
    """All that a statement of stats depends on; `matching` is None for all records, `zone` where no unit is named."""

    resource: Resource
    matching: Matching | None
    names: tuple[str, ...]
    metrics: frozenset[str]
    zone: ZoneInfo | None

    @property
    def summary(self) -> Summary:
        """How the resource is summarised."""
        assert self.resource.summary is not None
        return self.resource.summary

    @property
    def unit(self) -> str | None:
        """The unit of the calendar."""
        return next((name for name in self.names if name in UNITS), None)

    @property
    def fields(self) -> list[Field]:
        """The fields, in their order."""
        return [self.resource.fields[name] for name in self.names if name not in UNITS]

    @property
    def failure(self) -> Field:
        """The field that says whether a record counts as a failure."""
        return self.resource.fields[self.summary.failure]

    @property
    def kept_as(self) -> str | None:
        """The field whose kept counts answer, if any do."""
        if self.matching is not None or "downtime" in self.metrics or len(self.fields) > 1:
            return None
        # Those of the field that tells failures make up the counts of all records as well.
        failure = counts.kept_as(self.failure)
        field = counts.kept_as(self.fields[0]) if self.fields else failure
        known = SOURCES[self.unit] in (counts.EVER, *self.summary.kept[field])
        return field if known and (field == failure or "failures" not in self.metrics) else None


@lru_cache(maxsize=256)
def kept_statement(engine: Engine, grouping: Grouping) -> Statement:
    """Rows as `scan_statement` gives, after the zone of the counts; one of nulls if it is not the one asked for."""
    resource, summary = grouping.resource, grouping.summary
    field = grouping.kept_as
    assert field is not None
    table, shown = summary.counts, [*grouping.fields, *([grouping.failure] if "failures" in grouping.metrics else [])]
    keys = {known.name: counts.column(resource, known) for known in grouping.fields}
    if grouping.unit:
        keys[grouping.unit] = UNITS[grouping.unit].column(engine, table.c.period)
    failures = case((grouping.failure.column, table.c.count), else_=ZERO) if "failures" in grouping.metrics else ZERO
    total = func.sum(table.c.count)
    found = (
        select(*_labelled(grouping, keys), total.label("count"), func.sum(failures).label("failures"))
        .select_from(counts.joined(resource, shown))
        .where(*counts.rows_of(resource, field, SOURCES[grouping.unit]))
        .group_by(*keys.values())
        .having(total > ZERO)
    )
    rows, zone = found.subquery(), summary.derived
    same_zone = zone.c.value == bindparam("zone", type_=Text()) if grouping.unit else true()
    query = (
        select(zone.c.value, *rows.c, ZERO, ZERO, ZERO)
        .select_from(zone.outerjoin(rows, same_zone))
        .where(zone.c.name == literal_column(f"'{counts.ZONE}'"))
        .order_by(*_in_order([rows.c[f"k{i}"] for i in range(len(grouping.names))]))
        .limit(LIMIT)
    )
    return compile_statement(engine, query)


@lru_cache(maxsize=256)
def scan_statement(engine: Engine, grouping: Grouping) -> Statement:
    """Rows of (key..., count, failures, standing, seconds, microseconds) in the order of the keys.

    A key is a field or the unit's bucket. `standing` is how many more machines stop in the bucket than run again, the
    last two are the sum of the instants at which they stop less those at which they run again.
    """
    matching = grouping.matching or Matching(grouping.resource)
    parts: list[SelectBase] = [_placed(engine, grouping, matching)]
    if "downtime" in grouping.metrics:
        pieces = _pieces(engine, grouping, matching)
        parts += [_edge(engine, grouping, pieces, name, sign) for name, sign in (("beginning", ONE), ("end", -ONE))]
    events = (union_all(*parts) if len(parts) > 1 else parts[0]).subquery("events")
    keys = [events.c[f"k{i}"] for i in range(len(grouping.names))]
    moments = [events.c.standing * (events.c.at // MICROSECONDS), events.c.standing * (events.c.at % MICROSECONDS)]
    sums = [func.sum(column) for column in (events.c.count, events.c.failures, events.c.standing, *moments)]
    query = select(*keys, *sums).group_by(*keys).order_by(*_in_order(keys)).limit(LIMIT)
    return compile_statement(engine, query, searching=bool(matching.searched))


def _placed(engine: Engine, grouping: Grouping, matching: Matching) -> Select:
    """Each record in its group, counted once."""
    failing = "failures" in grouping.metrics
    keys = _keys(engine, grouping, grouping.resource.fields[grouping.summary.at].column)
    failures = case((grouping.failure.column, ONE), else_=ZERO) if failing else ZERO
    return (
        select(
            *_labelled(grouping, keys),
            ONE.label("count"),
            failures.label("failures"),
            ZERO.label("standing"),
            ZERO.label("at"),
        )
        .select_from(_joined(grouping.resource, [*grouping.fields, *([grouping.failure] if failing else [])]))
        .where(*where(engine, matching))
    )


def _pieces(engine: Engine, grouping: Grouping, matching: Matching) -> CTE:
    """The stops of each machine in a group without what they have in common: each from where those before it end."""
    resource, summary = grouping.resource, grouping.summary
    beginning, last = (resource.fields[name].column for name in summary.stop)
    now = bindparam("now", type_=TIME.column_type)
    end = func.coalesce(last, now)
    keys = {known.name: known.column for known in grouping.fields}
    reached = func.max(end).over(
        partition_by=[*keys.values(), resource.table.c[summary.stopped]], order_by=beginning, rows=(None, -1)
    )
    stops = (
        select(
            *[column.label(name) for name, column in keys.items()],
            beginning.label("beginning"),
            end.label("end"),
            reached.label("reached"),
        )
        .select_from(_joined(resource, grouping.fields))
        .where(*where(engine, matching), end > beginning)
        .subquery("stops")
    )
    start = case((stops.c.reached > stops.c.beginning, stops.c.reached), else_=stops.c.beginning)
    return (
        select(*[stops.c[name] for name in keys], start.label("beginning"), stops.c.end)
        .where(stops.c.end > start)
        .cte("pieces")
    )


def _joined(resource: Resource, shown: Iterable[Field]) -> FromClause:
    source: FromClause = resource.table
    for name in dict.fromkeys(known.relation for known in shown if known.relation):
        related = resource.relations[name]
        theirs = related.resource.table
        # Outer, though each is there: SQLite would go through the related records and look up ours one by one.
        source = source.outerjoin(theirs, resource.table.c[related.on] == theirs.c[related.to])
    return source


def _edge(engine: Engine, grouping: Grouping, pieces: CTE, name: str, sign: ColumnElement) -> Select:
    """The instants at which machines stop, or run again."""
    at = pieces.c[name]
    keys = {known.name: pieces.c[known.name] for known in grouping.fields}
    return select(
        *_labelled(grouping, keys | _bucket(engine, grouping, at)),
        ZERO.label("count"),
        ZERO.label("failures"),
        sign.label("standing"),
        engine.microseconds(at).label("at"),
    )


def _labelled(grouping: Grouping, keys: Mapping[str, ColumnElement]) -> list[ColumnElement]:
    return [keys[name].label(f"k{i}") for i, name in enumerate(grouping.names)]


def _in_order(keys: Iterable[ColumnElement]) -> list[ColumnElement]:
    return [key.asc().nulls_last() for key in keys]


def _keys(engine: Engine, grouping: Grouping, at: ColumnElement) -> dict[str, ColumnElement]:
    return {known.name: known.column for known in grouping.fields} | _bucket(engine, grouping, at)


def _bucket(engine: Engine, grouping: Grouping, at: ColumnElement) -> dict[str, ColumnElement]:
    if grouping.unit is None or grouping.zone is None:
        return {}
    return {grouping.unit: UNITS[grouping.unit].column(engine, day_column(engine, at, grouping.zone))}
