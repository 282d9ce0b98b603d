"""Full text search in SQL: match records, and scan the search index in time order.

SQLite's FTS5 returns rows ordered by row id, and our row ids start with the record's second (`database.fulltext`): the
newest hits of the most common word come first without a sort. A page is read by row id up to the end of its last
second, then sorted by exact time. PostgreSQL's planner chooses between time index and GIN index by itself.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, cast, exists, func, literal_column, select
from sqlalchemy.dialects.postgresql import TSQUERY

from machine_monitor.database.engines import Engine
from machine_monitor.database.fulltext import (
    ID_BITS,
    ID_MASK,
    MAX_FTS_ROWID,
    SearchQuery,
    Term,
    fts_rowid,
    rowids_of_second,
    search_table,
)
from machine_monitor.database.kinds import INTEGER
from machine_monitor.query.language.parser import Condition, Order
from machine_monitor.query.language.search_terms import facet_token
from machine_monitor.query.schema import Resource

MASK = literal_column(str(ID_MASK), INTEGER.column_type)
BITS = literal_column(str(ID_BITS), INTEGER.column_type)
# A filter with more values is applied to records only, not in the search index.
MAX_ALTERNATIVES = 32


class SearchBinds(NamedTuple):
    """The bind names of a search.

    `query` is the match expression; `low` and `high` are the row id range allowed by time filters; `start` and `end`
    are the range of this page; `max_hits` is how many hits an index scan reads.
    """

    query: str
    low: str
    high: str
    start: str
    end: str
    max_hits: str


@cache
def _names(prefix: str) -> SearchBinds:
    return SearchBinds(*(f"{prefix}{name}" for name in ("q", "low", "high", "start", "end", "max_hits")))


def bind_search(
    engine: Engine, resource: Resource, conditions: Sequence[Condition], terms: tuple[Term, ...], prefix: str
) -> tuple[SearchBinds, dict[str, Any]]:
    """Return the bind names and values of a search, except `max_hits`, which the caller sets."""
    names, (low, high) = _names(prefix), _bounds(resource, conditions)
    query = engine.fulltext.query(_search(resource, conditions, terms))
    return names, {names.query: query, names.low: low, names.high: high, names.start: low, names.end: high}


def seek_from(values: dict[str, Any], binds: SearchBinds, position: tuple[str, int], *, descending: bool) -> None:
    """Start the index scan at the cursor's record, given by its time and id."""
    instant, row_id = position
    first, last = rowids_of_second(instant)
    # Row ids do not order the records of one second that have fractions: for those, start at the second's edge.
    exact = "." not in instant
    if descending:
        values[binds.end] = min(values[binds.end], fts_rowid(row_id, instant) if exact else last)
    else:
        values[binds.start] = max(values[binds.start], fts_rowid(row_id, instant) if exact else first)


def matches_search(engine: Engine, resource: Resource, names: SearchBinds) -> ColumnElement:
    """Return the condition that a record matches the search."""
    index, row_id = search_table(resource.name), resource.table.c.id
    if engine.search_follows_time:
        return row_id.in_(select(_record_id(index.c.rowid)).select_from(index).where(_matches(resource, names)))
    query = cast(bindparam(names.query), TSQUERY)
    match = select(literal_column("1")).select_from(index).where(index.c.id == row_id, index.c.words.op("@@")(query))
    return exists(match)


def scans_search_index(engine: Engine, resource: Resource, names: SearchBinds | None, order: Order) -> bool:
    """Whether the search index itself yields the records in this order (SQLite, sorted by time)."""
    is_in_time_order = resource.search_follows_time and resource.is_order_of_tiebreakers(order)
    return engine.search_follows_time and names is not None and is_in_time_order


def search_hits(
    resource: Resource, names: SearchBinds, conditions: Sequence[ColumnElement], between: tuple[str, str] | None = None
) -> Select:
    """Select the FTS row ids of the records that match the search and the conditions (SQLite only)."""
    index, table = search_table(resource.name), resource.table
    rowid = index.c.rowid
    bounds = map(bindparam, between or (names.low, names.high))
    return (
        select(rowid.label("fts_rowid"))
        .select_from(index.join(table, table.c.id == _record_id(rowid)))
        # Otherwise SQLite may use an index of the table as the outer loop and run the full text match once per record.
        .with_hint(table, "NOT INDEXED", "sqlite")
        .where(_matches(resource, names), rowid.between(*bounds), *conditions)
    )


def first_search_hits(
    resource: Resource, names: SearchBinds, conditions: Sequence[ColumnElement], *, descending: bool
) -> Select:
    """Select the ids of the first `max_hits` hits in time order, plus all other hits of the last hit's second.

    The others are only needed, and selected, if that second's records have fractions.
    """
    rows = search_hits(resource, names, conditions, (names.start, names.end))
    rowid = search_table(resource.name).c.rowid
    page = rows.order_by(rowid.desc() if descending else rowid).limit(bindparam(names.max_hits)).cte()
    last = select((func.min if descending else func.max)(page.c.fts_rowid)).scalar_subquery()
    bucket = last.op(">>")(BITS)
    start = bucket.op("<<")(BITS)
    rest = rows.where(
        # Only records with fractions of a second are unordered within their bucket of row ids.
        bucket.op("&")(literal_column("1")) == literal_column("1"),
        rowid < last if descending else rowid > last,
        rowid.between(start, start.op("|")(MASK)),
    )
    rowids = select(page.c.fts_rowid).union_all(rest).subquery("rowids")
    return select(_record_id(rowids.c.fts_rowid).label("id"))


def _search(resource: Resource, conditions: Sequence[Condition], terms: tuple[Term, ...]) -> SearchQuery:
    """Build the index query: the terms, plus facet tokens for each filter that the index can apply.

    The tokens keep the search for a common word on one machine fast.
    """
    facets = [
        tuple(Term((facet_token(condition.field.name, str(value)),)) for value in condition.values)
        for condition in conditions
        if condition.field.name in resource.facet_token_fields
        and condition.operator.is_any_of
        and len(condition.values) <= MAX_ALTERNATIVES
    ]
    required = [(term,) for term in terms if not term.excluded]
    return SearchQuery((*required, *facets), tuple(term for term in terms if term.excluded))


def _bounds(resource: Resource, conditions: Sequence[Condition]) -> tuple[int, int]:
    """Derive the row id range from the time filters. It only narrows the scan; the filters still apply."""
    low, high = 0, MAX_FTS_ROWID
    if not resource.search_follows_time:
        return low, high
    for condition in conditions:
        if condition.field.name != resource.tiebreakers[0]:
            continue
        instants = [part for value in condition.values for part in (value if isinstance(value, tuple) else (value,))]
        seconds = [rowids_of_second(str(instant)) for instant in instants]
        if condition.operator.is_any_of or condition.operator.name in ("gt", "gte"):
            low = max(low, min(first for first, _ in seconds))
        if condition.operator.is_any_of or condition.operator.name in ("lt", "lte"):
            high = min(high, max(last for _, last in seconds))
    return low, high


def _record_id(rowid: ColumnElement) -> ColumnElement:
    return rowid.op("&")(MASK)


def _matches(resource: Resource, names: SearchBinds) -> ColumnElement:
    return literal_column(f"{resource.name}_search").op("MATCH")(bindparam(names.query))
