"""Facets: how often each value of a field occurs. One statement counts all requested fields.

Without a filter, counters have the exact counts of the fields that they cover. All other counts are of the newest
MAX_COUNTED matches.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Select,
    Text,
    bindparam,
    cast,
    false,
    func,
    literal_column,
    select,
    union_all,
)

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.database.kinds import INTEGER, Kind
from machine_monitor.database.statements import Statement, compile_statement, statement_cache
from machine_monitor.query.grouping import (
    ATTRIBUTE,
    attribute_column,
    bind_keys,
    group_fields,
    json_value,
    resolve,
    sort_key,
)
from machine_monitor.query.language.parser import Condition
from machine_monitor.query.language.summaries import FacetsQuery
from machine_monitor.query.schema import Field, Resource
from machine_monitor.query.sql import counters
from machine_monitor.query.sql.access_paths import access_paths, limit_if_chosen, use_index
from machine_monitor.query.sql.filters import FilterKey, compile_filters, where
from machine_monitor.query.sql.search import first_search_hits, scans_search_index

MAX_COUNTED = 10_000
COUNT_LIMIT = literal_column(str(MAX_COUNTED + 1))


class FacetGroup(NamedTuple):
    """Facets that share one set of records; `filter_key` is None if counters have their counts."""

    filter_key: FilterKey | None
    names: tuple[str, ...]


async def fetch(database: Database, query: FacetsQuery) -> bytes:
    """Return the response body: for each field its most frequent values with their counts."""
    groups, values = _bind_facets(database.engine, query)
    statement = await database.get_statement(facets_statement, database.engine, query.resource, query.by, groups)
    return _to_json(query, await database.fetch(statement, values))


def compile_facets(engine: Engine, query: FacetsQuery) -> tuple[Statement, dict[str, Any]]:
    """Compile a facets query; return the statement and its bind values."""
    groups, values = _bind_facets(engine, query)
    return facets_statement(engine, query.resource, query.by, groups), values


def _bind_facets(engine: Engine, query: FacetsQuery) -> tuple[tuple[FacetGroup, ...], dict[str, Any]]:
    resource = query.resource
    values: dict[str, Any] = {"limit": query.limit, **bind_keys(resource, query.by)}
    groups = []
    for number, ((conditions, has_counters), names) in enumerate(_groups(query).items()):
        filter_key = None
        if not has_counters:
            filter_key, bound = compile_filters(engine, resource, conditions, query.terms, f"g{number}_")
            values |= bound
            if filter_key.search is not None:
                values[filter_key.search.max_hits] = MAX_COUNTED + 1
        groups.append(FacetGroup(filter_key, tuple(names)))
    return tuple(groups), values


def _groups(query: FacetsQuery) -> dict[tuple[tuple[Condition, ...], bool], list[str]]:
    """Group the facets by the conditions that apply to them, and by whether counters have their counts.

    A facet ignores the filters on its own field.
    """
    groups: dict[tuple[tuple[Condition, ...], bool], list[str]] = {}
    for name in query.by:
        field, key = resolve(query.resource, name)
        conditions = tuple(each for each in query.conditions if (each.field.name, each.key) != (field.name, key))
        is_filtered = bool(conditions) or query.terms != ()
        has_counters = not is_filtered and counters.counter_field_of(query.resource, field) is not None
        groups.setdefault((conditions, has_counters), []).append(name)
    return groups


@statement_cache(512)
def facets_statement(
    engine: Engine, resource: Resource, names: tuple[str, ...], groups: tuple[FacetGroup, ...]
) -> Statement:
    """Compile: rows of (position in `names`, value as text, count, is capped) for the most frequent values of each."""
    branches: list[Select] = []
    positions = {name: position for position, name in enumerate(names)}
    all_fields = group_fields(engine, resource, names)
    for i, group in enumerate(groups):
        fields = {positions[name]: all_fields[positions[name]] for name in group.names}
        if group.filter_key is None:
            counts = [_count_with_counters(resource, field) for field in fields.values()]
            capped: ColumnElement = false()
        else:
            newest = _newest_matches(engine, group.filter_key, fields.values(), i)
            assert resource.summary is not None
            newest_first = select(newest.c.id).order_by(newest.c[resource.summary.at].desc(), newest.c.id.desc())
            first_uncounted_id = (
                newest_first.limit(literal_column("1")).offset(literal_column(str(MAX_COUNTED))).scalar_subquery()
            )
            is_counted = newest.c.id.is_distinct_from(first_uncounted_id)
            values = [
                _values(engine, resource, field, position, newest).where(is_counted).subquery()
                for position, field in fields.items()
            ]
            counts = [select(each.c.value, func.count().label("count")).group_by(each.c.value) for each in values]
            capped = first_uncounted_id.is_not(None)
        branches += [_most_frequent(position, count, capped) for position, count in zip(fields, counts, strict=True)]
    searching = any(group.filter_key is not None and group.filter_key.search is not None for group in groups)
    return compile_statement(
        engine, union_all(*[select(branch.subquery()) for branch in branches]), uses_fulltext=searching
    )


def _newest_matches(engine: Engine, filter_key: FilterKey, fields: Iterable[Field], number: int) -> CTE:
    """Return a CTE with the newest MAX_COUNTED + 1 matches; the extra row tells that the counts are capped."""
    resource = filter_key.resource
    assert resource.summary is not None
    table, at = resource.table, resource.fields[resource.summary.at].column
    assert at is not None
    own = [resource.own_column(field) for field in fields if not _is_own_attribute(field)]
    columns = {"id": table.c.id, **{column.name: column for column in own}, at.name: at}
    newest = select(*columns.values()).order_by(at.desc(), table.c.id.desc())
    order = tuple((name, True) for name in resource.tiebreakers)
    if filter_key.search is not None and scans_search_index(engine, resource, filter_key.search, order):
        hits = first_search_hits(
            resource, filter_key.search, where(engine, filter_key, include_search=False), descending=True
        )
        branches = [newest.where(table.c.id.in_(hits)).limit(COUNT_LIMIT)]
    else:
        rows = newest.where(*where(engine, filter_key))
        paths = access_paths(engine, filter_key, order)
        branches = [use_index(rows, table, path).limit(limit_if_chosen(path, COUNT_LIMIT)) for path in paths]
    matches = branches[0] if len(branches) == 1 else union_all(*[select(branch.subquery()) for branch in branches])
    return matches.cte(f"newest{number}")


def _values(engine: Engine, resource: Resource, field: Field, position: int, newest: CTE) -> Select:
    """Select a field's value of each record in `newest`, which has the records' own columns."""
    source: FromClause = newest
    if _is_own_attribute(field):
        assert resource.folded is not None
        source = source.join(resource.folded, resource.folded.c.id == newest.c.id, isouter=True)
        value = attribute_column(engine, resource.folded.c.attributes, position)
    else:
        value = newest.c[resource.own_column(field).name]
        for i, join in enumerate(field.joins):
            condition = join.condition if i else value == join.target.c[join.reference.to]
            source = source.join(join.target, condition, isouter=join.is_outer)
        if field.joins:
            assert field.column is not None
            value = field.column
    return select(value.label("value")).select_from(source)


def _is_own_attribute(field: Field) -> bool:
    return field.kind is ATTRIBUTE and not field.joins


def _count_with_counters(resource: Resource, field: Field) -> Select:
    """Select each value's count over all records."""
    counter_field = counters.counter_field_of(resource, field)
    assert counter_field is not None
    table = counters.counters_of(resource).table
    rows = counters.row_clauses(resource, [counter_field], counters.ALL_TIME)
    column = counters.column(resource, field).label("value")
    found = select(column, table.c.count).select_from(counters.join_related(resource, [field])).where(*rows).subquery()
    total = func.sum(found.c.count)
    counts = select(found.c.value, total.label("count")).group_by(found.c.value)
    return counts.having(total > literal_column("0"))


def _most_frequent(position: int, counts: Select, capped: ColumnElement) -> Select:
    found = counts.subquery()
    return (
        select(
            literal_column(str(position)).label("position"),
            cast(found.c.value, Text).label("value"),
            found.c.count,
            capped.label("capped"),
        )
        .order_by(found.c.count.desc(), found.c.value.is_(None), found.c.value)
        .limit(bindparam("limit", type_=INTEGER.column_type))
    )


def _to_json(query: FacetsQuery, rows: Iterable[tuple]) -> bytes:
    kinds = [resolve(query.resource, name).kind for name in query.by]
    values: list[list[tuple]] = [[] for _ in query.by]
    capped = set()
    for position, value, count, is_capped in rows:
        values[position].append((value, int(count)))
        if is_capped:
            capped.add(position)
    document = {
        "facets": {name: _sorted_values(values[i], kinds[i]) for i, name in enumerate(query.by)},
        "capped": [name for i, name in enumerate(query.by) if i in capped],
    }
    return canonical_json(document).encode()


def _sorted_values(found: Iterable[tuple[str | None, int]], kind: Kind) -> list[dict[str, Any]]:
    key, to_json = sort_key(kind), json_value(kind)
    ordered = sorted(found, key=lambda row: (-row[1], row[0] is None, row[0] is not None and key(row[0])))
    return [{"value": to_json(value), "count": count} for value, count in ordered]
