"""Counts of logs that are kept for facets and stats: changed with each log, in the zone that is stored beside them."""

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
from machine_monitor.models import DERIVED, LOG_COUNTS, LOGS
from machine_monitor.query.statements.counts import EVER, ZONE, rows_of
from machine_monitor.query.summaries import buckets
from machine_monitor.query.summaries.buckets import UNITS
from machine_monitor.query.vocabulary import Related, Resource, Summary

# Field, unit, period, value: the key of a count.
Key = tuple[str, str, str, str]


class Change(NamedTuple):
    """One log more or less (`sign`), by its kept values in their order and the instant that places it."""

    sign: int
    values: tuple[str, ...]
    at: str


def change(
    tx: Transaction, resource: Resource, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> None:
    """Let the counts follow a record when the transaction ends; `before` or `after` is None where it does not live.

    Values are as the API shows them; the columns that name related records may stand beside them.
    """
    summary = resource.summary
    if summary is None:
        return
    if before and after and all(before[name] == after[name] for name in (*summary.kept, summary.at)):
        return
    for sign, values in ((-1, before), (1, after)):
        if values is not None:
            kept = tuple(_kept_value(tx, resource, name, values) for name in summary.kept)
            tx.defer(_apply, Change(sign, kept, values[summary.at]))


def zone(tx: Transaction) -> str:
    """The name of the zone that logs are counted in."""
    return tx.run(_zone(tx.engine, lock=None), {})[0][0]


def refresh(database: Database, wanted: ZoneInfo) -> bool:
    """Count all logs again if they are counted in another zone; whether they were."""
    if database.snapshot(zone) == wanted.key:
        return False
    database.transact(lambda tx: rebuild(tx, wanted))
    return True


def rebuild(tx: Transaction, wanted: ZoneInfo) -> None:
    """Count all logs again, in this zone."""
    # Whoever writes meanwhile waits for this, and then reads the new zone.
    tx.run(_zone(tx.engine, lock="update"), {})
    tx.run(compile_statement(tx.engine, delete(LOG_COUNTS)), {})
    for field, units in _summary().kept.items():
        *coarser, finest = (EVER, *units)
        _insert(tx, field, finest, _from_logs(tx.engine, field, finest, wanted))
        for unit in coarser:
            _insert(tx, field, unit, _from_counts(tx.engine, field, unit, finest))
    stored = update(DERIVED).where(DERIVED.c.name == literal_column(f"'{ZONE}'"))
    value = bindparam("zone", type_=DERIVED.c.value.type)
    tx.run(compile_statement(tx.engine, stored.values(value=value)), {"zone": wanted.key})


def differing(tx: Transaction) -> list[str]:
    """The fields whose counts are not what the logs say."""
    counted_in = ZoneInfo(zone(tx))
    return [
        field
        for field, units in _summary().kept.items()
        if any(_differ(tx, field, unit, counted_in) for unit in (EVER, *units))
    ]


def _differ(tx: Transaction, field: str, unit: str, counted_in: ZoneInfo) -> bool:
    columns = [LOG_COUNTS.c[name] for name in ("period", "value", "count")]
    kept = select(*columns).where(*rows_of(LOGS, field, unit), LOG_COUNTS.c.count != literal_column("0"))
    counted = _from_logs(tx.engine, field, unit, counted_in)
    for missing in (counted.except_(kept), kept.except_(counted)):
        if tx.run(compile_statement(tx.engine, select(missing.subquery()).limit(literal_column("1"))), {}):
            return True
    return False


def condense(tx: Transaction) -> None:
    """Add up the changes so far; they are written at the end, since whoever else writes a log waits for them."""
    changes = tx.deferred(_apply)
    changes[:] = [_differences(tx, changes)]


def _differences(tx: Transaction, changes: Sequence[Change | Counter[Key]]) -> Counter[Key]:
    # The stored zone, whatever this process is set to: its months and days are the ones that are there.
    counted_in = ZoneInfo(tx.run(_zone(tx.engine, lock="share"), {})[0][0])
    differences: Counter[Key] = Counter()
    for made in changes:
        if isinstance(made, Counter):
            differences.update(made)
            continue
        for key in _keys(made, counted_in):
            differences[key] += made.sign
    return differences


def _apply(tx: Transaction, changes: Sequence[Change | Counter[Key]]) -> None:
    differences = _differences(tx, changes)
    # In one order for all: who waits for a row that another holds, holds none that the other wants.
    rows = [
        {"field": field, "unit": unit, "period": period, "value": value, "count": difference}
        for (field, unit, period, value), difference in sorted(differences.items())
        if difference
    ]
    if rows:
        tx.run_many(_add(tx.engine), rows)


def _keys(made: Change, counted_in: ZoneInfo) -> Iterator[Key]:
    day = buckets.day(datetime.fromisoformat(made.at), counted_in)
    for (field, units), value in zip(_summary().kept.items(), made.values, strict=True):
        yield field, EVER, "", value
        for unit in units:
            yield field, unit, UNITS[unit].name(day), value


def _kept_value(tx: Transaction, resource: Resource, name: str, values: Mapping[str, Any]) -> str:
    known, value = resource.fields[name], values[name]
    if known.relation and value is not None:
        related = resource.relations[name]
        # At once: a rename in the same transaction would hide the name.
        value = values[related.on] if related.on in values else tx.run(_find(tx.engine, related), {"key": value})[0][0]
    return "" if value is None else f"={tx.engine.store(value, known.kind)}"


def _summary() -> Summary:
    assert LOGS.summary is not None
    return LOGS.summary


def _from_logs(engine: Engine, field: str, unit: str, wanted: ZoneInfo) -> Select:
    """Period, value and count of the living logs."""
    at = LOGS.fields[_summary().at].column
    day = buckets.day_column(engine, at, wanted)
    period = literal_column("''") if unit == EVER else UNITS[unit].column(engine, day)
    column = LOGS.own_column(LOGS.fields[field])
    value = func.coalesce(literal_column("'='").concat(cast(column, Text)), literal_column("''"))
    logs = select(period.label("period"), value.label("value")).where(LOGS.table.c.deleted_at.is_(None)).subquery()
    return select(logs.c.period, logs.c.value, func.count()).group_by(logs.c.period, logs.c.value)


def _from_counts(engine: Engine, field: str, unit: str, finest: str) -> Select:
    """Period, value and count, from the counts of a finer unit."""
    period = literal_column("''") if unit == EVER else UNITS[unit].column(engine, LOG_COUNTS.c.period)
    counts = select(period.label("period"), LOG_COUNTS.c.value, LOG_COUNTS.c.count)
    finer = counts.where(*rows_of(LOGS, field, finest)).subquery()
    return select(finer.c.period, finer.c.value, func.sum(finer.c.count)).group_by(finer.c.period, finer.c.value)


def _insert(tx: Transaction, field: str, unit: str, counted: Select) -> None:
    rows = counted.add_columns(literal_column(f"'{field}'"), literal_column(f"'{unit}'"))
    names = ["period", "value", "count", "field", "unit"]
    tx.run(compile_statement(tx.engine, insert(LOG_COUNTS).from_select(names, rows)), {})


@cache
def _zone(engine: Engine, *, lock: Literal["share", "update"] | None) -> Statement:
    query = select(DERIVED.c.value).where(DERIVED.c.name == literal_column(f"'{ZONE}'"))
    return compile_statement(engine, query.with_for_update(read=lock == "share") if lock else query)


@cache
def _find(engine: Engine, related: Related) -> Statement:
    theirs = related.resource
    column = theirs.table.c[theirs.key]
    query = select(theirs.table.c[related.to]).where(column == bindparam("key", type_=column.type))
    return compile_statement(engine, query)


@cache
def _add(engine: Engine) -> Statement:
    columns = {column.name: bindparam(column.name, type_=column.type) for column in LOG_COUNTS.columns}
    row = engine.insert(LOG_COUNTS).values(columns)
    total = LOG_COUNTS.c.count + row.excluded.count
    return compile_statement(
        engine, row.on_conflict_do_update(index_elements=LOG_COUNTS.primary_key.columns, set_={"count": total})
    )
