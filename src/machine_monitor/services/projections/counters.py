"""Counters: the number of records per field value and period, updated by each write; read by facets and stats.

Days and months are those of one time zone, which is stored in the `derived` table. A query in another zone counts the
records instead. See docs/internals/counters.md.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, cached_property
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Select, Text, bindparam, cast, delete, func, insert, literal_column, or_, select, update

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import DERIVED, RESOURCES
from machine_monitor.query import calendar
from machine_monitor.query.calendar import UNITS
from machine_monitor.query.metrics import Counters
from machine_monitor.query.schema import Reference, Referrer, Resource
from machine_monitor.query.sql.counters import ALL_TIME, ZONE, counters_of, is_counter, row_clauses
from machine_monitor.services.projections.reliability import invalidation

# The key of a counter: its name (a field's, or of a partial counter), unit, period, value.
Key = tuple[str, str, str, str]
KEY_COLUMNS = ("field", "unit", "period", "value")
COUNTED = tuple(
    resource for resource in RESOURCES if resource.summary is not None and resource.summary.counters is not None
)


class CounterUpdate(NamedTuple):
    """One record added (+1) or removed (-1): its value in each counter, and the time that selects the periods."""

    resource: Resource
    sign: int
    values: Mapping[str, str]
    at: str


def enqueue_update(
    tx: Transaction, resource: Resource, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> None:
    """Update the counters for a changed record at the end of the transaction.

    `before` is None for a new record, `after` for a deleted one. Values are in API format; `after` may also contain the
    columns that reference other records.
    """
    summary = resource.summary
    if summary is None or summary.counters is None:
        return
    changed = _changed_counters(summary.counters, summary.at, before, after)
    for sign, values in ((-1, before), (1, after)):
        if values is not None and changed:
            # Several counters may count one field, whose value can take a statement to find.
            fields = {
                name: summary.counters.counted_field(name) for name in changed if summary.counters.counts(name, values)
            }
            found = {field: _counted_value(tx, resource, field, values) for field in {*fields.values()}}
            counted = {name: found[field] for name, field in fields.items()}
            _pending(tx).append(CounterUpdate(resource, sign, counted, values[summary.at]))


def lock_zone(tx: Transaction, resource: Resource) -> None:
    """Lock the time zone of the counters if the resource has any, later in the sense of `Transaction.execute_later`.

    A write does so anyway. A caller that is about to wait for other rows gets the lock in the same round trip.
    """
    if resource in COUNTED:
        _pending(tx)


def _changed_counters(
    counters: Counters, at: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> list[str]:
    """Return the names of the counters that count the record elsewhere after the change; `at` selects the periods."""
    if not before or not after or before[at] != after[at]:
        return [*counters.units_by_counter]
    changed = {name for name in after if before.get(name) != after[name]}
    return [name for name in counters.units_by_counter if not changed.isdisjoint(counters.reads_of(name))]


def counter_zone(tx: Transaction) -> str:
    """Return the name of the counters' time zone."""
    return tx.execute(_zone_statement(tx.engine, lock=None), {})[0][0]


def ensure_zone(database: Database, zone: ZoneInfo) -> bool:
    """Rebuild the counters if they use another zone; return whether they were rebuilt."""
    if database.snapshot(counter_zone) == zone.key:
        return False
    database.transact(lambda tx: rebuild(tx, zone))
    return True


def rebuild(tx: Transaction, zone: ZoneInfo) -> None:
    """Rebuild all counters in this zone, and delete the monthly sums, which are made again in the background."""
    # Lock the zone's row: concurrent writers wait for it, and then use the new zone. They lock it before the sums.
    tx.execute(_zone_statement(tx.engine, lock="update"), {})
    invalidation.clear(tx)
    for resource in COUNTED:
        tx.execute(compile_statement(tx.engine, delete(counters_of(resource).table)), {})
        for counter, units in counters_of(resource).units_by_counter.items():
            *coarser, finest = (ALL_TIME, *units)
            _insert(tx, resource, counter, finest, _from_records(tx.engine, resource, counter, finest, zone))
            for unit in coarser:
                _insert(tx, resource, counter, unit, _from_counts(tx.engine, resource, counter, unit, finest))
    stored = update(DERIVED).where(DERIVED.c.name == literal_column(f"'{ZONE}'"))
    value = bindparam("zone", type_=DERIVED.c.value.type)
    tx.execute(compile_statement(tx.engine, stored.values(value=value)), {"zone": zone.key})


def find_wrong_counters(tx: Transaction) -> list[str]:
    """Return the names of the counters that do not match the records."""
    zone = ZoneInfo(counter_zone(tx))
    return [
        counter
        for resource in COUNTED
        for counter, units in counters_of(resource).units_by_counter.items()
        if any(_differ(tx, resource, counter, unit, zone) for unit in (ALL_TIME, *units))
    ]


def _differ(tx: Transaction, resource: Resource, counter: str, unit: str, zone: ZoneInfo) -> bool:
    table = counters_of(resource).table
    count = cast(func.sum(table.c.count), INTEGER.column_type)
    stored = select(table.c.period, table.c.value, count).where(*row_clauses(resource, [counter], unit))
    stored = stored.group_by(table.c.period, table.c.value).having(count != literal_column("0"))
    counted = _from_records(tx.engine, resource, counter, unit, zone)
    for missing in (counted.except_(stored), stored.except_(counted)):
        if tx.execute(compile_statement(tx.engine, select(missing.subquery()).limit(literal_column("1"))), {}):
            return True
    return False


def reassign(tx: Transaction, referrer: Referrer, source: Any, receiver: Any) -> None:
    """Move the counts of one referenced record to another, for a merge. The caller has locked the referring records.

    `source` and `receiver` are the values of the foreign key column.
    """
    resource, field = referrer.resource, referrer.name
    if resource not in COUNTED or field not in counters_of(resource).units:
        return
    # Earlier units of this transaction may have counted records for the source.
    tx.flush_deferred(_apply)
    old, new = f"={source}", f"={receiver}"
    deltas: Counter[Key] = Counter()
    statement = _counters_of_value_statement(tx.engine, resource, field)
    for counter, unit, period, count in tx.execute(statement, {"value": old}):
        deltas[counter, unit, period, old] -= count
        deltas[counter, unit, period, new] += count
    _pending(tx).append({resource: deltas})


def count_records(tx: Transaction, resource: Resource) -> int:
    """Return the number of records that are not deleted: from the counters if there are any, else by counting."""
    return tx.execute(_total_statement(tx.engine, resource), {})[0][0]


def merge_pending(tx: Transaction) -> None:
    """Merge the pending updates to save memory."""
    zone, *changes = _pending(tx)
    _pending(tx)[1:] = [_counter_deltas(zone, changes)]


class _LockedZone:
    """The time zone of the counters, locked until the transaction ends; it is read with the next statement.

    This is the stored zone, not this process's setting: the existing counters are in it.
    """

    def __init__(self, tx: Transaction) -> None:
        self._rows = tx.execute_later(_zone_statement(tx.engine, lock="share"), {})

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self._rows()[0][0])


def _pending(tx: Transaction) -> list[Any]:
    """Return the updates to apply at the end of the transaction, after the zone that they need."""
    pending = tx.deferred_items(_apply)
    if not pending:
        pending.append(_LockedZone(tx))
    return pending


# The net change of each counter, by resource.
CounterDeltas = dict[Resource, Counter[Key]]


def _counter_deltas(locked: _LockedZone, changes: Sequence[CounterUpdate | CounterDeltas]) -> CounterDeltas:
    deltas: CounterDeltas = {}
    for change in changes:
        if isinstance(change, dict):
            for resource, counts in change.items():
                deltas.setdefault(resource, Counter()).update(counts)
            continue
        counts = deltas.setdefault(change.resource, Counter())
        for key in _keys(change, locked.zone):
            counts[key] += change.sign
    return deltas


def add_differences(tx: Transaction) -> None:
    """Add the differences of all transactions to the rows that they share, unless another transaction is doing so."""
    if not tx.try_advisory_lock("counters")():
        return
    # `rebuild` waits for this lock, so nobody else changes the shared rows meanwhile.
    tx.execute_later(_zone_statement(tx.engine, lock="share"), {})
    for resource in COUNTED:
        deltas: Counter[Key] = Counter()
        for *key, count in tx.execute(_take_differences_statement(tx.engine, counters_of(resource)), {}):
            deltas[tuple(key)] += count
        _add(tx, resource, deltas, as_difference=False)


def _apply(tx: Transaction, pending: Sequence[Any]) -> None:
    zone, *changes = pending
    for resource, deltas in _counter_deltas(zone, changes).items():
        _add(tx, resource, deltas, as_difference=True)


def _add(tx: Transaction, resource: Resource, deltas: Mapping[Key, int], *, as_difference: bool) -> None:
    """Add to the counters of a resource: for now in rows of this transaction, or in the rows that all share."""
    rows = [dict(zip(KEY_COLUMNS, key, strict=True), count=delta) for key, delta in deltas.items() if delta]
    if rows:
        statement = _upsert_statement(tx.engine, counters_of(resource), as_difference=as_difference)
        tx.execute_many(statement, rows)


def _keys(change: CounterUpdate, zone: ZoneInfo) -> Iterator[Key]:
    day = calendar.local_date(datetime.fromisoformat(change.at), zone)
    units = counters_of(change.resource).units_by_counter
    for counter, value in change.values.items():
        yield counter, ALL_TIME, "", value
        for unit in units[counter]:
            yield counter, unit, UNITS[unit].name(day), value


def _counted_value(tx: Transaction, resource: Resource, name: str, values: Mapping[str, Any]) -> str:
    counted_field, value = resource.fields[name], values[name]
    if counted_field.joins and value is not None:
        reference = resource.references[name]
        # Resolve now: a rename later in this transaction would make the name unresolvable.
        if reference.on in values:
            value = values[reference.on]
        else:
            value = tx.execute(_find_statement(tx.engine, reference), {"key": value})[0][0]
    return "" if value is None else f"={tx.engine.to_db(value, counted_field.kind)}"


def _from_records(engine: Engine, resource: Resource, counter: str, unit: str, zone: ZoneInfo) -> Select:
    """Select period, value and count of the records that are not soft-deleted."""
    assert resource.summary is not None
    at = resource.fields[resource.summary.at].column
    assert at is not None
    day = calendar.local_date_column(engine, at, zone)
    period = literal_column("''") if unit == ALL_TIME else UNITS[unit].name_column(engine, day)
    counters = counters_of(resource)
    column = resource.own_column(resource.fields[counters.counted_field(counter)])
    value = func.coalesce(literal_column("'='").concat(cast(column, Text)), literal_column("''"))
    records = select(period.label("period"), value.label("value"))
    if resource.soft_delete:
        records = records.where(resource.table.c.deleted_at.is_(None))
    if counter in counters.partial:
        partial = counters.partial[counter]
        records = records.where(partial.column_holds(*(resource.table.c[name] for name in partial.reads)))
    rows = records.subquery()
    return select(rows.c.period, rows.c.value, func.count()).group_by(rows.c.period, rows.c.value)


def _from_counts(engine: Engine, resource: Resource, counter: str, unit: str, finest: str) -> Select:
    """Select period, value and count from the counters of a finer unit."""
    table = counters_of(resource).table
    period = literal_column("''") if unit == ALL_TIME else UNITS[unit].name_column(engine, table.c.period)
    counts = select(period.label("period"), table.c.value, table.c.count)
    finer = counts.where(*row_clauses(resource, [counter], finest)).subquery()
    return select(finer.c.period, finer.c.value, func.sum(finer.c.count)).group_by(finer.c.period, finer.c.value)


def _insert(tx: Transaction, resource: Resource, counter: str, unit: str, counted: Select) -> None:
    rows = counted.add_columns(literal_column(f"'{counter}'"), literal_column(f"'{unit}'"), literal_column("0"))
    names = ["period", "value", "count", "field", "unit", "transaction_id"]
    tx.execute(compile_statement(tx.engine, insert(counters_of(resource).table).from_select(names, rows)), {})


@cache
def _zone_statement(engine: Engine, *, lock: Literal["share", "update"] | None) -> Statement:
    query = select(DERIVED.c.value).where(DERIVED.c.name == literal_column(f"'{ZONE}'"))
    return compile_statement(engine, query.with_for_update(read=lock == "share") if lock else query)


@cache
def _find_statement(engine: Engine, reference: Reference) -> Statement:
    referenced = reference.resource
    column = referenced.table.c[referenced.key]
    query = select(referenced.table.c[reference.to]).where(column == bindparam("key", type_=column.type))
    return compile_statement(engine, query)


@cache
def _total_statement(engine: Engine, resource: Resource) -> Statement:
    if resource not in COUNTED:
        return compile_statement(engine, select(func.count()).select_from(resource.table))
    # Each record is counted once per field, so any field will do.
    field, counted = next(iter(counters_of(resource).units)), counters_of(resource).table.c.count
    total = cast(func.coalesce(func.sum(counted), literal_column("0")), INTEGER.column_type)
    return compile_statement(engine, select(total).where(*row_clauses(resource, [field], ALL_TIME)))


@cache
def _counters_of_value_statement(engine: Engine, resource: Resource, field: str) -> Statement:
    """Compile the query for the counters of one value of a field, the partial ones included."""
    table, partial = counters_of(resource).table, counters_of(resource).partial
    names = [field, *(name for name, counter in partial.items() if counter.field == field)]
    query = select(table.c.field, table.c.unit, table.c.period, table.c.count)
    by_value = table.c.value == bindparam("value", type_=table.c.value.type)
    return compile_statement(engine, query.where(or_(*(is_counter(resource, name) for name in names)), by_value))


@cache
def _upsert_statement(engine: Engine, counters: Counters, *, as_difference: bool) -> Statement:
    table = counters.table
    columns: dict[str, Any] = {column.name: bindparam(column.name, type_=column.type) for column in table.columns}
    transaction_id = engine.transaction_id() if as_difference else literal_column("0")
    row = engine.insert(table).values({**columns, "transaction_id": transaction_id})
    total = table.c.count + row.excluded.count
    return compile_statement(
        engine, row.on_conflict_do_update(index_elements=table.primary_key.columns, set_={"count": total})
    )


@cache
def _take_differences_statement(engine: Engine, counters: Counters) -> Statement:
    """Compile: remove the rows that are not added to the counters yet; rows of (key ..., count), in any order."""
    table = counters.table
    gone = delete(table).where(table.c.transaction_id != literal_column("0"))
    return compile_statement(engine, gone.returning(*[table.c[name] for name in KEY_COLUMNS], table.c.count))
