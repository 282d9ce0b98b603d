"""Facets: how often each value of a field occurs. One statement counts all requested fields."""

from collections.abc import Iterable, Sequence
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
from machine_monitor.query.language.parser import Condition
from machine_monitor.query.language.summaries import FacetsQuery
from machine_monitor.query.schema import Field, Resource
from machine_monitor.query.sql import counters
from machine_monitor.query.sql.access_paths import access_paths, limit_if_chosen, use_index
from machine_monitor.query.sql.filters import FilterKey, compile_filters, where
from machine_monitor.query.sql.search import first_search_hits, scans_search_index

# With a filter, facets count only this many of the newest matches.
MAX_COUNTED = 10_000
COUNT_LIMIT = literal_column(str(MAX_COUNTED + 1))


class FacetGroup(NamedTuple):
    """Facets that share one set of records; `matching` is None if there is no filter."""

    filter_key: FilterKey | None
    fields: tuple[str, ...]


async def fetch(database: Database, query: FacetsQuery) -> bytes:
    """Return the response body: for each field its most frequent values with their counts."""
    groups, values = _bind_facets(database.engine, query)
    statement = await database.get_statement(facets_statement, database.engine, query.resource, groups)
    return _to_json(query, await database.fetch(statement, values))


def compile_facets(engine: Engine, query: FacetsQuery) -> tuple[Statement, dict[str, Any]]:
    """Compile a facets query; return the statement and its bind values."""
    groups, values = _bind_facets(engine, query)
    return facets_statement(engine, query.resource, groups), values


def _bind_facets(engine: Engine, query: FacetsQuery) -> tuple[tuple[FacetGroup, ...], dict[str, Any]]:
    values: dict[str, Any] = {"limit": query.limit}
    groups = []
    for number, (conditions, fields) in enumerate(_groups(query).items()):
        filter_key = None
        if conditions or query.terms != ():
            filter_key, bound = compile_filters(engine, query.resource, conditions, query.terms, f"g{number}_")
            values |= bound
            if filter_key.search is not None:
                values[filter_key.search.max_hits] = MAX_COUNTED + 1
        groups.append(FacetGroup(filter_key, tuple(fields)))
    return tuple(groups), values


def _groups(query: FacetsQuery) -> dict[tuple[Condition, ...], list[str]]:
    """Group the facets by the conditions that apply to them: a facet ignores the filters on its own field."""
    groups: dict[tuple[Condition, ...], list[str]] = {}
    for name in query.by:
        conditions = tuple(condition for condition in query.conditions if condition.field.name != name)
        groups.setdefault(conditions, []).append(name)
    return groups


@statement_cache(512)
def facets_statement(engine: Engine, resource: Resource, groups: tuple[FacetGroup, ...]) -> Statement:
    """Compile: rows of (field, value as text, count, is capped) for the most frequent values of each field."""
    branches: list[Select] = []
    for i, group in enumerate(groups):
        fields = [resource.fields[name] for name in group.fields]
        if group.filter_key is None:
            counts = [_count_values_of_all(engine, resource, field) for field in fields]
            capped: ColumnElement = false()
        else:
            newest = _newest_matches(engine, group.filter_key, fields, i)
            assert resource.summary is not None
            newest_first = select(newest.c.id).order_by(newest.c[resource.summary.at].desc(), newest.c.id.desc())
            first_uncounted_id = (
                newest_first.limit(literal_column("1")).offset(literal_column(str(MAX_COUNTED))).scalar_subquery()
            )
            counts = [_count_values(resource, field, newest, first_uncounted_id) for field in fields]
            capped = first_uncounted_id.is_not(None)
        branches += [_most_frequent(field, count, capped) for field, count in zip(fields, counts, strict=True)]
    searching = any(group.filter_key is not None and group.filter_key.search is not None for group in groups)
    return compile_statement(
        engine, union_all(*[select(branch.subquery()) for branch in branches]), uses_fulltext=searching
    )


def _newest_matches(engine: Engine, filter_key: FilterKey, fields: list[Field], number: int) -> CTE:
    """Return a CTE with the newest MAX_COUNTED + 1 matches; the extra row tells that the counts are capped."""
    resource = filter_key.resource
    assert resource.summary is not None
    table, at = resource.table, resource.fields[resource.summary.at].column
    assert at is not None
    columns = {column.name: column for field in fields for column in [resource.own_column(field)]}
    columns = {"id": table.c.id, **columns, at.name: at}
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


def _count_values(resource: Resource, field: Field, newest: CTE, first_uncounted_id: ColumnElement) -> Select:
    source: FromClause = newest
    column: ColumnElement = newest.c[resource.own_column(field).name]
    for i, join in enumerate(field.joins):
        condition = join.condition if i else column == join.target.c[join.reference.to]
        source = source.join(join.target, condition, isouter=join.is_outer)
    return _grouped_count(field.column if field.joins else column, source).where(
        newest.c.id.is_distinct_from(first_uncounted_id)
    )


def _count_values_of_all(engine: Engine, resource: Resource, field: Field) -> Select:
    """Select each value's count over all records: from the counters if there are any, else by counting records."""
    counter_field = counters.counter_field_of(resource, field)
    if counter_field is None:
        return _grouped_count(field.column, resource.joined_table([field])).where(*where(engine, FilterKey(resource)))
    table = counters.counters_of(resource).table
    rows = [*counters.row_clauses(resource, [counter_field], counters.ALL_TIME), table.c.count > literal_column("0")]
    column = counters.column(resource, field)
    if not field.joins:
        return select(column.label("value"), table.c.count.label("count")).where(*rows)
    source = counters.join_related(resource, [field])
    return _grouped_count(column, source, func.sum(table.c.count)).where(*rows)


def _grouped_count(column: ColumnElement | None, source: FromClause, total: ColumnElement | None = None) -> Select:
    assert column is not None
    counted = func.count() if total is None else total
    return select(column.label("value"), counted.label("count")).select_from(source).group_by(column)


def _most_frequent(field: Field, counts: Select, capped: ColumnElement) -> Select:
    found = counts.subquery()
    name = literal_column(f"'{field.name}'")
    return (
        select(name.label("field"), cast(found.c.value, Text).label("value"), found.c.count, capped.label("capped"))
        .order_by(found.c.count.desc(), found.c.value.is_(None), found.c.value)
        .limit(bindparam("limit", type_=INTEGER.column_type))
    )


def _to_json(query: FacetsQuery, rows: Sequence[tuple]) -> bytes:
    values: dict[str, list[tuple]] = {name: [] for name in query.by}
    capped = {name for name, _, _, is_capped in rows if is_capped}
    for name, value, count, _ in rows:
        values[name].append((value, int(count)))
    document = {
        "facets": {name: _sorted_values(values[name], query.resource.fields[name].kind) for name in query.by},
        "capped": [name for name in query.by if name in capped],
    }
    return canonical_json(document).encode()


def _sorted_values(found: Iterable[tuple[str | None, int]], kind: Kind) -> list[dict[str, Any]]:
    # A rank's value is a text of one digit, so text order is the order of the ranks.
    ordered = sorted(found, key=lambda row: (-row[1], row[0] is None, row[0]))
    return [{"value": _rank_name(value, kind), "count": count} for value, count in ordered]


def _rank_name(value: str | None, kind: Kind) -> str | None:
    return kind.choices[int(value)] if kind.name == "rank" and value is not None else value
