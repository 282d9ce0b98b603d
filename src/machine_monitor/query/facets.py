"""Facets: how often each value of a field occurs, in one statement for all fields that were asked for."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
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
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.query.language.parser import Condition
from machine_monitor.query.language.summaries import FacetsQuery
from machine_monitor.query.schema import Field, Resource
from machine_monitor.query.sql import counters
from machine_monitor.query.sql.access_paths import access_paths, limit_of, use_index
from machine_monitor.query.sql.filters import Matching, compile_filters, where
from machine_monitor.query.sql.search import first_found, walks_index

# Where there is a filter, so many of the newest records are counted.
NEWEST = 10_000
ENOUGH = literal_column(str(NEWEST + 1))


class Group(NamedTuple):
    """Fields that count the same records; `matching` is None for all records."""

    matching: Matching | None
    fields: tuple[str, ...]


async def fetch(database: Database, query: FacetsQuery) -> bytes:
    """How often the most frequent values of each field occur, as the JSON text that goes out."""
    statement, values = compile_facets(database.engine, query)
    return _document(query, await database.fetch(statement, values))


def compile_facets(engine: Engine, query: FacetsQuery) -> tuple[Statement, dict[str, Any]]:
    """The statement of facets, and the values that it binds."""
    values: dict[str, Any] = {"limit": query.limit}
    groups = []
    for number, (conditions, fields) in enumerate(_groups(query).items()):
        matching = None
        if conditions or query.terms != ():
            matching, bound = compile_filters(engine, query.resource, conditions, query.terms, f"g{number}_")
            values |= bound
            if matching.search is not None:
                values[matching.search.reach] = NEWEST + 1
        groups.append(Group(matching, tuple(fields)))
    return facets_statement(engine, query.resource, tuple(groups)), values


def _groups(query: FacetsQuery) -> dict[tuple[Condition, ...], list[str]]:
    """The fields by the conditions that hold for them: a facet ignores the filters of its own field."""
    groups: dict[tuple[Condition, ...], list[str]] = {}
    for name in query.by:
        conditions = tuple(condition for condition in query.conditions if condition.field.name != name)
        groups.setdefault(conditions, []).append(name)
    return groups


@lru_cache(maxsize=512)
def facets_statement(engine: Engine, resource: Resource, groups: tuple[Group, ...]) -> Statement:
    """Rows of (field, value as text, count, whether only the newest were counted) for the most frequent values."""
    parts: list[Select] = []
    for i, group in enumerate(groups):
        fields = [resource.fields[name] for name in group.fields]
        if group.matching is None:
            tallies = [_tally_of_all(engine, resource, known) for known in fields]
            capped: ColumnElement = false()
        else:
            newest = _newest(engine, group.matching, fields, i)
            assert resource.summary is not None
            oldest = select(newest.c.id).order_by(newest.c[resource.summary.at].desc(), newest.c.id.desc())
            beyond = oldest.limit(literal_column("1")).offset(literal_column(str(NEWEST))).scalar_subquery()
            tallies = [_tally(resource, known, newest, beyond) for known in fields]
            capped = beyond.is_not(None)
        parts += [_most_frequent(known, tally, capped) for known, tally in zip(fields, tallies, strict=True)]
    searching = any(group.matching is not None and group.matching.search is not None for group in groups)
    return compile_statement(engine, union_all(*[select(part.subquery()) for part in parts]), uses_fulltext=searching)


def _newest(engine: Engine, matching: Matching, fields: list[Field], number: int) -> CTE:
    """The newest records that match, and one more if there are more."""
    resource = matching.resource
    assert resource.summary is not None
    table, at = resource.table, resource.fields[resource.summary.at].column
    assert at is not None
    columns = {column.name: column for known in fields for column in [resource.own_column(known)]}
    columns = {"id": table.c.id, **columns, at.name: at}
    newest = select(*columns.values()).order_by(at.desc(), table.c.id.desc())
    order = tuple((name, True) for name in resource.tiebreakers)
    if matching.search is not None and walks_index(engine, resource, matching.search, order):
        hits = first_found(resource, matching.search, where(engine, matching, words=False), descending=True)
        parts = [newest.where(table.c.id.in_(hits)).limit(ENOUGH)]
    else:
        rows = newest.where(*where(engine, matching))
        paths = access_paths(engine, matching, order)
        parts = [use_index(rows, table, path).limit(limit_of(path, ENOUGH)) for path in paths]
    found = parts[0] if len(parts) == 1 else union_all(*[select(part.subquery()) for part in parts])
    return found.cte(f"newest{number}")


def _tally(resource: Resource, known: Field, newest: CTE, beyond: ColumnElement) -> Select:
    source: FromClause = newest
    column: ColumnElement = newest.c[resource.own_column(known).name]
    for i, join in enumerate(known.joins):
        condition = join.condition if i else column == join.target.c[join.reference.to]
        source = source.join(join.target, condition, isouter=join.is_outer)
    return _counted(known.column if known.joins else column, source).where(newest.c.id.is_distinct_from(beyond))


def _tally_of_all(engine: Engine, resource: Resource, known: Field) -> Select:
    """How often each value occurs among all records: from the counters, else from the records."""
    field = counters.counted_field(resource, known)
    if field is None:
        return _counted(known.column, resource.source([known])).where(*where(engine, Matching(resource)))
    table = counters.counters_of(resource).table
    rows = [*counters.rows_of(resource, field, counters.ALL_TIME), table.c.count > literal_column("0")]
    column = counters.column(resource, known)
    if not known.joins:
        return select(column.label("value"), table.c.count.label("count")).where(*rows)
    source = counters.joined(resource, [known])
    return _counted(column, source, func.sum(table.c.count)).where(*rows)


def _counted(column: ColumnElement | None, source: FromClause, total: ColumnElement | None = None) -> Select:
    assert column is not None
    counted = func.count() if total is None else total
    return select(column.label("value"), counted.label("count")).select_from(source).group_by(column)


def _most_frequent(known: Field, tally: Select, capped: ColumnElement) -> Select:
    found = tally.subquery()
    name = literal_column(f"'{known.name}'")
    return (
        select(name.label("field"), cast(found.c.value, Text).label("value"), found.c.count, capped.label("capped"))
        .order_by(found.c.count.desc(), found.c.value.is_(None), found.c.value)
        .limit(bindparam("limit", type_=INTEGER.column_type))
    )


def _document(query: FacetsQuery, rows: Sequence[tuple]) -> bytes:
    found: dict[str, list[tuple]] = {name: [] for name in query.by}
    capped = {name for name, _, _, more in rows if more}
    for name, value, count, _ in rows:
        found[name].append((value, int(count)))
    document = {
        "facets": {name: _ordered(found[name], query.resource.fields[name].kind) for name in query.by},
        "capped": [name for name in query.by if name in capped],
    }
    return canonical_json(document).encode()


def _ordered(found: Iterable[tuple[str | None, int]], kind: Kind) -> list[dict[str, Any]]:
    # Ranks are texts of one digit each, which sort as the ranks do.
    ordered = sorted(found, key=lambda row: (-row[1], row[0] is None, row[0]))
    return [{"value": _name(value, kind), "count": count} for value, count in ordered]


def _name(value: str | None, kind: Kind) -> str | None:
    return kind.choices[int(value)] if kind.name == "rank" and value is not None else value
