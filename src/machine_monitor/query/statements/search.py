"""Words in a statement: the records that an index finds, and a walk through it in the order of time.

An FTS5 index gives its rows in the order of their places, so the newest hits of the commonest word are there at once.
A place has whole seconds: the page is read by place, the last second to its end, and both are sorted by time itself.
PostgreSQL's planner chooses between the time index and the words by itself.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, bindparam, cast, exists, func, literal_column, select
from sqlalchemy.dialects.postgresql import TSQUERY

from machine_monitor.database.engines import SQLITE, Engine
from machine_monitor.database.fulltext import ID_BITS, ID_MASK, index_of
from machine_monitor.database.kinds import INTEGER
from machine_monitor.query.statements.shapes import Matching
from machine_monitor.query.vocabulary import Resource

MASK = literal_column(str(ID_MASK), INTEGER.column_type)
# Places between which the filters let a record be; the reach of a page begins at its cursor.
SPAN, REACH = ("low", "high"), ("begin", "end")
BITS = literal_column(str(ID_BITS), INTEGER.column_type)


def is_found(engine: Engine, resource: Resource) -> ColumnElement:
    """The condition that the words find a record."""
    index, identity = index_of(resource.name), resource.table.c.id
    if engine is SQLITE:
        return identity.in_(select(_identity(index.c.rowid)).select_from(index).where(_matches(resource)))
    query = cast(bindparam("q"), TSQUERY)
    found = select(literal_column("1")).select_from(index).where(index.c.id == identity, index.c.words.op("@@")(query))
    return exists(found)


def follows_order(engine: Engine, matching: Matching, order: Sequence[tuple[str, bool]]) -> bool:
    """Whether an index of words gives the records in this order."""
    resource = matching.resource
    in_order = resource.searched_in_order and resource.is_in_order_of_ties(order)
    return bool(engine is SQLITE and matching.searched and in_order)


def found(resource: Resource, conditions: Sequence[ColumnElement], between: tuple[str, str] = SPAN) -> Select:
    """The places of the records that the words find and the conditions let through, as SQLite's index holds them."""
    index, table = index_of(resource.name), resource.table
    place = index.c.rowid
    return (
        select(place.label("place"))
        .select_from(index.join(table, table.c.id == _identity(place)))
        # Else an index of the table might drive the search, which would ask for the words again for each record.
        .with_hint(table, "NOT INDEXED", "sqlite")
        .where(_matches(resource), place.between(*map(bindparam, between)), *conditions)
    )


def first_found(resource: Resource, conditions: Sequence[ColumnElement], *, descending: bool) -> Select:
    """The ids of the first `reach` hits in the order of time, and the others of the last second among them."""
    rows = found(resource, conditions, between=REACH)
    place = index_of(resource.name).c.rowid
    page = rows.order_by(place.desc() if descending else place).limit(bindparam("reach")).cte()
    last = select((func.min if descending else func.max)(page.c.place)).scalar_subquery()
    bucket = last.op(">>")(BITS)
    start = bucket.op("<<")(BITS)
    rest = rows.where(
        # Only the fractions of a second share a bucket.
        bucket.op("&")(literal_column("1")) == literal_column("1"),
        place < last if descending else place > last,
        place.between(start, start.op("|")(MASK)),
    )
    places = select(page.c.place).union_all(rest).subquery("places")
    return select(_identity(places.c.place).label("id"))


def _identity(place: ColumnElement) -> ColumnElement:
    return place.op("&")(MASK)


def _matches(resource: Resource) -> ColumnElement:
    return literal_column(f"{resource.name}_search").op("MATCH")(bindparam("q"))
