"""Answer `/reliability`: the figures of each group of machines and calendar bucket."""

from collections.abc import Mapping, Sequence
from itertools import groupby, islice, product
from typing import Any, NamedTuple

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.models import MACHINES
from machine_monitor.query import calendar
from machine_monitor.query.sql.filters import compile_filters
from machine_monitor.query.stats_groups import MAX_GROUPS
from machine_monitor.services.projections.reliability import reading
from machine_monitor.services.projections.reliability.facts import (
    FactWindow,
    fact_window,
    facts_statement,
    machines_statement,
)
from machine_monitor.services.projections.reliability.figures import DEFINITION, Figures, FigureSums
from machine_monitor.services.projections.reliability.intervals import Windows
from machine_monitor.services.projections.reliability.request import ReliabilityQuery, buckets_of, machine_field
from machine_monitor.services.projections.reliability.rows import fetch_rows


class GroupKey(NamedTuple):
    """A group: the values of the fields, and the position of the calendar bucket."""

    values: tuple[Any, ...]
    bucket: int


async def fetch(database: Database, query: ReliabilityQuery) -> bytes:
    """Return the response body."""
    engine = database.engine
    filter_key, values = compile_filters(engine, MACHINES, query.conditions, ())
    zone, uses_sums = query.time_context.zone, query.unit in (None, "month", "year")
    window = fact_window(query.start, query.end, zone, uses_sums=uses_sums)
    fields = tuple(machine_field(name) for name in query.fields)
    machines = await database.fetch(
        await database.get_statement(machines_statement, engine, filter_key, fields), values
    )
    statement = await database.get_statement(facts_statement, engine, filter_key, query.unit is not None)
    rows = await fetch_rows(database, statement, {**values, **window.binds(engine)})
    return await database.compute(_to_json, engine, query, window, machines, rows)


def _to_json(
    engine: Engine, query: ReliabilityQuery, window: FactWindow, rows: Sequence[Sequence], facts: Sequence[Sequence]
) -> bytes:
    kinds = [MACHINES.fields[machine_field(name)].kind for name in query.fields]
    values_of = {
        identity: tuple(engine.from_db(value, kind) for value, kind in zip(values, kinds, strict=True))
        for identity, _, *values in rows
    }
    buckets = [*buckets_of(query)]
    keys = _ordered_keys(query, {*values_of.values()} if query.fields else {()}, len(buckets))
    shown = keys[:MAX_GROUPS]
    bounds = [*(start for _, start in buckets), calendar.epoch_microseconds(query.end)]
    sums = _empty_sums(shown, bounds)
    machines = reading.read_machines(facts, window, {identity: in_service for identity, in_service, *_ in rows})
    for identity, machine in machines.items():
        if values_of[identity] in sums:
            sums[values_of[identity]].add(machine)
    figures = {values: [*each.figures()] for values, each in sums.items()}
    return canonical_json(
        {
            "window": {"from": instants.format_instant(query.start), "to": instants.format_instant(query.end)},
            "definition": DEFINITION,
            "groups": [_group(query, key, buckets[key.bucket][0], figures[key.values][key.bucket]) for key in shown],
            "truncated": len(keys) > MAX_GROUPS,
        }
    ).encode()


def _ordered_keys(query: ReliabilityQuery, found: set[tuple], bucket_count: int) -> list[GroupKey]:
    """Return the keys of the groups in the order of `group_by`, at most one more than MAX_GROUPS."""
    ordered = sorted(found, key=lambda values: [(value is None, value) for value in values])
    fields_before_unit = query.group_by.index(query.unit) if query.unit else 0
    keys = (
        GroupKey(values, bucket)
        for _, same in groupby(ordered, key=lambda values: values[:fields_before_unit])
        for bucket, values in product(range(bucket_count), [*same])
    )
    return [*islice(keys, MAX_GROUPS + 1)]


def _empty_sums(keys: Sequence[GroupKey], bounds: Sequence[int]) -> dict[tuple, FigureSums]:
    """Return a sum for each combination of values, over the buckets that are shown."""
    last_bucket = {key.values: key.bucket for key in keys}
    return {values: FigureSums(Windows(bounds[: last + 2])) for values, last in last_bucket.items()}


def _group(query: ReliabilityQuery, key: GroupKey, bucket: str, figures: Figures) -> Mapping[str, Any]:
    values = iter(key.values)
    members = {name: bucket if name == query.unit else next(values) for name in query.group_by}
    return members | figures.to_json()
