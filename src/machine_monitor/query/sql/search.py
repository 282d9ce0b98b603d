"""Full text in a statement: the records that an index of words finds, and a walk through it in the order of time.

SQLite's FTS5 index gives its rows in the order of their row ids, which follow time to the second: the newest hits of
the commonest word come first, without a sort. A page is read by row id, its last second to the end, and then sorted by
time itself. PostgreSQL's planner chooses between the time index and the index of words by itself.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, cast, exists, func, literal_column, select
from sqlalchemy.dialects.postgresql import TSQUERY

from machine_monitor.database.engines import Engine
from machine_monitor.database.fulltext import (
    HIGHEST_PLACE,
    ID_BITS,
    ID_MASK,
    Search,
    Term,
    index_of,
    place,
    second,
)
from machine_monitor.database.kinds import INTEGER
from machine_monitor.query.language.parser import Condition, Order
from machine_monitor.query.language.search_terms import facet_token
from machine_monitor.query.schema import Resource

MASK = literal_column(str(ID_MASK), INTEGER.column_type)
BITS = literal_column(str(ID_BITS), INTEGER.column_type)
# A facet with more values than these is left to its filter.
MAX_ALTERNATIVES = 32


class SearchBinds(NamedTuple):
    """The names under which a search binds its query, and the row ids between which it looks.

    From `low` to `high` the filters on time let a record be; from `start` to `end` the page that a cursor begins. A
    walk takes the first `reach` hits.
    """

    query: str
    low: str
    high: str
    start: str
    end: str
    max_hits: str


@cache
def _names(prefix: str) -> SearchBinds:
    return SearchBinds(*(f"{prefix}{name}" for name in ("q", "low", "high", "start", "end", "reach")))


def bind_search(
    engine: Engine, resource: Resource, conditions: Sequence[Condition], terms: tuple[Term, ...], prefix: str
) -> tuple[SearchBinds, dict[str, Any]]:
    """The names that a search binds its values under, and the values, but for `reach`: each list has its own."""
    names, (low, high) = _names(prefix), _bounds(resource, conditions)
    query = engine.index.query(_search(resource, conditions, terms))
    return names, {names.query: query, names.low: low, names.high: high, names.start: low, names.end: high}


def seek_from(values: dict[str, Any], binds: SearchBinds, position: tuple[str, int], *, descending: bool) -> None:
    """Let a walk through the index begin at the record that has these marks, a time and an id."""
    instant, row_id = position
    first, last = second(instant)
    # The index has no order among the fractions of a second.
    exact = "." not in instant
    if descending:
        values[binds.end] = min(values[binds.end], place(row_id, instant) if exact else last)
    else:
        values[binds.start] = max(values[binds.start], place(row_id, instant) if exact else first)


def matches_search(engine: Engine, resource: Resource, names: SearchBinds) -> ColumnElement:
    """The condition that the words find a record."""
    index, row_id = index_of(resource.name), resource.table.c.id
    if engine.search_follows_time:
        return row_id.in_(select(_record_id(index.c.rowid)).select_from(index).where(_matches(resource, names)))
    query = cast(bindparam(names.query), TSQUERY)
    search_hits = (
        select(literal_column("1")).select_from(index).where(index.c.id == row_id, index.c.words.op("@@")(query))
    )
    return exists(search_hits)


def scans_search_index(engine: Engine, resource: Resource, names: SearchBinds | None, order: Order) -> bool:
    """Whether a search is answered by a walk through its index, which gives the records in this order."""
    is_in_time_order = resource.search_follows_time and resource.is_order_of_tiebreakers(order)
    return engine.search_follows_time and names is not None and is_in_time_order


def search_hits(
    resource: Resource, names: SearchBinds, conditions: Sequence[ColumnElement], between: tuple[str, str] | None = None
) -> Select:
    """The row ids of the records that the words find and the conditions let through, as SQLite's index holds them."""
    index, table = index_of(resource.name), resource.table
    rowid = index.c.rowid
    bounds = map(bindparam, between or (names.low, names.high))
    return (
        select(rowid.label("place"))
        .select_from(index.join(table, table.c.id == _record_id(rowid)))
        # Else an index of the table might drive the search, which would ask for the words again for each record.
        .with_hint(table, "NOT INDEXED", "sqlite")
        .where(_matches(resource, names), rowid.between(*bounds), *conditions)
    )


def first_search_hits(
    resource: Resource, names: SearchBinds, conditions: Sequence[ColumnElement], *, descending: bool
) -> Select:
    """The ids of the first `reach` hits in the order of time, and the others of the last second among them."""
    rows = search_hits(resource, names, conditions, (names.start, names.end))
    rowid = index_of(resource.name).c.rowid
    page = rows.order_by(rowid.desc() if descending else rowid).limit(bindparam(names.max_hits)).cte()
    last = select((func.min if descending else func.max)(page.c.place)).scalar_subquery()
    bucket = last.op(">>")(BITS)
    start = bucket.op("<<")(BITS)
    rest = rows.where(
        # Only the fractions of a second share a bucket.
        bucket.op("&")(literal_column("1")) == literal_column("1"),
        rowid < last if descending else rowid > last,
        rowid.between(start, start.op("|")(MASK)),
    )
    places = select(page.c.place).union_all(rest).subquery("places")
    return select(_record_id(places.c.place).label("id"))


def _search(resource: Resource, conditions: Sequence[Condition], terms: tuple[Term, ...]) -> Search:
    """The terms, and a word for each facet that the filters fix: a common word of one machine is found at once."""
    facets = [
        tuple(Term((facet_token(condition.field.name, str(value)),)) for value in condition.values)
        for condition in conditions
        if condition.field.name in resource.facet_words
        and condition.operator.is_any_of
        and len(condition.values) <= MAX_ALTERNATIVES
    ]
    required = [(term,) for term in terms if not term.excluded]
    return Search((*required, *facets), tuple(term for term in terms if term.excluded))


def _bounds(resource: Resource, conditions: Sequence[Condition]) -> tuple[int, int]:
    """Between which row ids of an index that follows time the filters let a record be; the filters stay in force."""
    low, high = 0, HIGHEST_PLACE
    if not resource.search_follows_time:
        return low, high
    for condition in conditions:
        if condition.field.name != resource.tiebreakers[0]:
            continue
        instants = [part for value in condition.values for part in (value if isinstance(value, tuple) else (value,))]
        seconds = [second(str(instant)) for instant in instants]
        if condition.operator.is_any_of or condition.operator.name in ("gt", "gte"):
            low = max(low, min(first for first, _ in seconds))
        if condition.operator.is_any_of or condition.operator.name in ("lt", "lte"):
            high = min(high, max(last for _, last in seconds))
    return low, high


def _record_id(rowid: ColumnElement) -> ColumnElement:
    return rowid.op("&")(MASK)


def _matches(resource: Resource, names: SearchBinds) -> ColumnElement:
    return literal_column(f"{resource.name}_search").op("MATCH")(bindparam(names.query))
