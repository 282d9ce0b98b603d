"""Counters: how many records there are by the values of some fields, maintained by each write for facets and stats.

Their months and days are those of one time zone, whose name stands beside them. Readers in another zone count the
records instead.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Select, Text, bindparam, cast, delete, func, insert, literal_column, select, update

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import DERIVED, RESOURCES
from machine_monitor.query import calendar
from machine_monitor.query.calendar import UNITS
from machine_monitor.query.metrics import Counters
from machine_monitor.query.schema import Reference, Resource
from machine_monitor.query.sql.counters import ALL_TIME, ZONE, counters_of, rows_of

# Field, unit, period, value: the key of a count.
Key = tuple[str, str, str, str]
COUNTED = tuple(
    resource for resource in RESOURCES if resource.summary is not None and resource.summary.counters is not None
)


class Change(NamedTuple):
    """One record more or less (`sign`), by the values that are counted and the instant that places it."""

    resource: Resource
    sign: int
    values: tuple[str, ...]
    at: str


def change(
    tx: Transaction, resource: Resource, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> None:
    """Let the counters follow a record when the transaction ends; `before` or `after` is None where it is deleted.

    Values are as the API shows them; the columns that name related records may stand beside them.
    """
    summary = resource.summary
    if summary is None or summary.counters is None:
        return
    units = summary.counters.units
    if before and after and all(before[name] == after[name] for name in (*units, summary.at)):
        return
    for sign, values in ((-1, before), (1, after)):
        if values is not None:
            counted = tuple(_counted_value(tx, resource, name, values) for name in units)
            tx.defer(_apply, Change(resource, sign, counted, values[summary.at]))


def zone(tx: Transaction) -> str:
    """The name of the zone that records are counted in."""
    return tx.run(_zone(tx.engine, lock=None), {})[0][0]


def refresh(database: Database, wanted: ZoneInfo) -> bool:
    """Count all records again if they are counted in another zone; whether they were."""
    if database.snapshot(zone) == wanted.key:
        return False
    database.transact(lambda tx: rebuild(tx, wanted))
    return True


def rebuild(tx: Transaction, wanted: ZoneInfo) -> None:
    """Count all records again, in this zone."""
    # Other writers wait for this lock, and then read the new zone.
    tx.run(_zone(tx.engine, lock="update"), {})
    for resource in COUNTED:
        tx.run(compile_statement(tx.engine, delete(counters_of(resource).table)), {})
        for field, units in counters_of(resource).units.items():
            *coarser, finest = (ALL_TIME, *units)
            _insert(tx, resource, field, finest, _from_records(tx.engine, resource, field, finest, wanted))
            for unit in coarser:
                _insert(tx, resource, field, unit, _from_counts(tx.engine, resource, field, unit, finest))
    stored = update(DERIVED).where(DERIVED.c.name == literal_column(f"'{ZONE}'"))
    value = bindparam("zone", type_=DERIVED.c.value.type)
    tx.run(compile_statement(tx.engine, stored.values(value=value)), {"zone": wanted.key})


def differing(tx: Transaction) -> list[str]:
    """The fields whose counters are not what the records say."""
    counted_in = ZoneInfo(zone(tx))
    return [
        field
        for resource in COUNTED
        for field, units in counters_of(resource).units.items()
        if any(_differ(tx, resource, field, unit, counted_in) for unit in (ALL_TIME, *units))
    ]


def _differ(tx: Transaction, resource: Resource, field: str, unit: str, counted_in: ZoneInfo) -> bool:
    table = counters_of(resource).table
    columns = [table.c[name] for name in ("period", "value", "count")]
    stored = select(*columns).where(*rows_of(resource, field, unit), table.c.count != literal_column("0"))
    counted = _from_records(tx.engine, resource, field, unit, counted_in)
    for missing in (counted.except_(stored), stored.except_(counted)):
        if tx.run(compile_statement(tx.engine, select(missing.subquery()).limit(literal_column("1"))), {}):
            return True
    return False


def merge_pending(tx: Transaction) -> None:
    """Add up the changes so far; they are written at the end, since every other writer of a log waits for them."""
    changes = tx.deferred(_apply)
    changes[:] = [_differences(tx, changes)]


# How the counts of each resource change.
Differences = dict[Resource, Counter[Key]]


def _differences(tx: Transaction, changes: Sequence[Change | Differences]) -> Differences:
    # The stored zone, whatever this process is set to: its months and days are the ones that are there.
    counted_in = ZoneInfo(tx.run(_zone(tx.engine, lock="share"), {})[0][0])
    differences: Differences = {}
    for made in changes:
        if isinstance(made, dict):
            for resource, counts in made.items():
                differences.setdefault(resource, Counter()).update(counts)
            continue
        counts = differences.setdefault(made.resource, Counter())
        for key in _keys(made, counted_in):
            counts[key] += made.sign
    return differences


def _apply(tx: Transaction, changes: Sequence[Change | Differences]) -> None:
    for resource, differences in _differences(tx, changes).items():
        # In one order for all: a transaction that waits for a row of another holds none that the other wants.
        rows = [
            {"field": field, "unit": unit, "period": period, "value": value, "count": difference}
            for (field, unit, period, value), difference in sorted(differences.items())
            if difference
        ]
        if rows:
            tx.run_many(_add(tx.engine, counters_of(resource)), rows)


def _keys(made: Change, counted_in: ZoneInfo) -> Iterator[Key]:
    day = calendar.day(datetime.fromisoformat(made.at), counted_in)
    for (field, units), value in zip(counters_of(made.resource).units.items(), made.values, strict=True):
        yield field, ALL_TIME, "", value
        for unit in units:
            yield field, unit, UNITS[unit].name(day), value


def _counted_value(tx: Transaction, resource: Resource, name: str, values: Mapping[str, Any]) -> str:
    known, value = resource.fields[name], values[name]
    if known.joins and value is not None:
        reference = resource.references[name]
        # At once: a rename in the same transaction would hide the name.
        if reference.on in values:
            value = values[reference.on]
        else:
            value = tx.run(_find(tx.engine, reference), {"key": value})[0][0]
    return "" if value is None else f"={tx.engine.store(value, known.kind)}"


def _from_records(engine: Engine, resource: Resource, field: str, unit: str, wanted: ZoneInfo) -> Select:
    """Period, value and count of the records that are not deleted."""
    assert resource.summary is not None
    at = resource.fields[resource.summary.at].column
    assert at is not None
    day = calendar.day_column(engine, at, wanted)
    period = literal_column("''") if unit == ALL_TIME else UNITS[unit].column(engine, day)
    column = resource.own_column(resource.fields[field])
    value = func.coalesce(literal_column("'='").concat(cast(column, Text)), literal_column("''"))
    records = select(period.label("period"), value.label("value"))
    if resource.soft_delete:
        records = records.where(resource.table.c.deleted_at.is_(None))
    rows = records.subquery()
    return select(rows.c.period, rows.c.value, func.count()).group_by(rows.c.period, rows.c.value)


def _from_counts(engine: Engine, resource: Resource, field: str, unit: str, finest: str) -> Select:
    """Period, value and count, from the counts of a finer unit."""
    table = counters_of(resource).table
    period = literal_column("''") if unit == ALL_TIME else UNITS[unit].column(engine, table.c.period)
    counts = select(period.label("period"), table.c.value, table.c.count)
    finer = counts.where(*rows_of(resource, field, finest)).subquery()
    return select(finer.c.period, finer.c.value, func.sum(finer.c.count)).group_by(finer.c.period, finer.c.value)


def _insert(tx: Transaction, resource: Resource, field: str, unit: str, counted: Select) -> None:
    rows = counted.add_columns(literal_column(f"'{field}'"), literal_column(f"'{unit}'"))
    names = ["period", "value", "count", "field", "unit"]
    tx.run(compile_statement(tx.engine, insert(counters_of(resource).table).from_select(names, rows)), {})


@cache
def _zone(engine: Engine, *, lock: Literal["share", "update"] | None) -> Statement:
    query = select(DERIVED.c.value).where(DERIVED.c.name == literal_column(f"'{ZONE}'"))
    return compile_statement(engine, query.with_for_update(read=lock == "share") if lock else query)


@cache
def _find(engine: Engine, reference: Reference) -> Statement:
    theirs = reference.resource
    column = theirs.table.c[theirs.key]
    query = select(theirs.table.c[reference.to]).where(column == bindparam("key", type_=column.type))
    return compile_statement(engine, query)


@cache
def _add(engine: Engine, counters: Counters) -> Statement:
    table = counters.table
    columns = {column.name: bindparam(column.name, type_=column.type) for column in table.columns}
    row = engine.insert(table).values(columns)
    total = table.c.count + row.excluded.count
    return compile_statement(
        engine, row.on_conflict_do_update(index_elements=table.primary_key.columns, set_={"count": total})
    )
