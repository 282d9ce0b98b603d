"""A page of a list: one statement for each shape, built and compiled once, then only bound."""

from functools import lru_cache

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    bindparam,
    func,
    literal_column,
    null,
    select,
    true,
    union_all,
)

from machine_monitor.database.engines import SQLITE, Engine
from machine_monitor.database.kinds import INTEGER
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.query.statements.conditions import where
from machine_monitor.query.statements.documents import document
from machine_monitor.query.statements.keysets import Order, branches
from machine_monitor.query.statements.plans import Plan, follow, limit, path_plan, plans
from machine_monitor.query.statements.search import first_found, follows_order, found
from machine_monitor.query.statements.shapes import Matching, Shape
from machine_monitor.query.vocabulary import Field

COUNT_CAP = 10_000
LIMIT = bindparam("limit", type_=INTEGER.column_type)


@lru_cache(maxsize=1024)
def list_statement(engine: Engine, shape: Shape) -> Statement:
    """One page: rows of (document, total, value of each field of the order); without rows one of nulls if counted."""
    searching = bool(shape.matching.searched)
    order = [(shape.resource.orderable[name], descending != shape.backward) for name, descending in shape.order]
    pages = _pages(engine, shape, order)
    if len(pages) == 1 and shape.count == "none":
        return compile_statement(engine, pages[0], searching=searching)
    rows = (pages[0] if len(pages) == 1 else union_all(*[select(page.subquery()) for page in pages])).subquery("page")
    columns = [rows.c[f"k{i}"] for i in range(len(order))]
    if shape.count == "none":
        merged = select(rows)
    else:
        total = _total(engine, shape)
        merged = select(rows.c.item, total.c.total, *columns).select_from(total.outerjoin(rows, true()))
    merged = merged.order_by(
        *[
            direction(column, known, shape, descending=descending)
            for column, (known, descending) in zip(columns, order, strict=True)
        ]
    ).limit(_limit(shape))
    return compile_statement(engine, merged, searching=searching)


def _pages(engine: Engine, shape: Shape, order: Order) -> list[Select]:
    """The page by each way to read it, of which one yields rows."""
    matching, table, ranges = shape.matching, shape.resource.table, branches(shape.resource, shape.keyset, order)
    if follows_order(engine, matching, shape.order):
        conditions = [*where(engine, matching, words=False), *ranges]
        hits = first_found(shape.resource, conditions, descending=order[0][1])
        page = _sorted(_item(engine, shape, order), shape, order)
        return [_rows(page, shape, _limit(shape)).where(table.c.id.in_(hits))]
    conditions = where(engine, matching)
    parts = [[*conditions, part] for part in ranges]
    return [_page(engine, shape, order, way, parts) for way in plans(engine, matching, shape.order)]


def _page(engine: Engine, shape: Shape, order: Order, way: Plan, ranges: list[list[ColumnElement]]) -> Select:
    """The page by one way; of several ranges, each takes only the rows that those before it leave room for."""
    table, page, room = shape.resource.table, _item(engine, shape, order), _limit(shape)
    if not way.sorts and len(ranges) == 1:
        found = _sorted(follow(page, table, way).where(*ranges[0]), shape, order)
        return _rows(found, shape, limit(way, room))
    chosen = []
    for conditions in ranges:
        rows = select(table.c.id).select_from(shape.resource.source([known for known, _ in order]))
        rows = _sorted(follow(rows, table, way).where(*conditions), shape, order)
        ids = _rows(rows, shape, limit(way, room)).cte()
        chosen.append(select(ids))
        room -= select(func.count()).select_from(ids).scalar_subquery()
    return _sorted(page, shape, order).where(table.c.id.in_(union_all(*chosen)))


def _item(engine: Engine, shape: Shape, order: Order) -> Select:
    shown = [shape.resource.fields[name] for name in shape.fields]
    item = engine.item(document(engine, shape.resource, shape.fields, shape.expand)).label("item")
    keys = [known.column.label(f"k{i}") for i, (known, _) in enumerate(order)]
    source = shape.resource.source([*shown, *[known for known, _ in order]], shape.expand)
    return select(item, null().label("total"), *keys).select_from(source)


def _rows(query: Select, shape: Shape, rows: ColumnElement) -> Select:
    """So many rows of all that a query gives."""
    page = query.limit(rows)
    return page.offset(bindparam("offset", type_=INTEGER.column_type)) if shape.offset else page


def _limit(shape: Shape) -> ColumnElement:
    return LIMIT if shape.limit is None else literal_column(str(shape.limit))


def _sorted(query: Select, shape: Shape, order: Order) -> Select:
    return query.order_by(
        *[direction(known.column, known, shape, descending=descending) for known, descending in order]
    )


def direction(column: ColumnElement, known: Field, shape: Shape, *, descending: bool) -> ColumnElement:
    """Nulls come last in either direction, and so first on the way back."""
    directed = column.desc() if descending else column.asc()
    if not known.nullable:
        return directed
    return directed.nulls_first() if shape.backward else directed.nulls_last()


def matches(engine: Engine, matching: Matching) -> Select:
    """A row for each record that matches, in no order: to be counted."""
    resource = matching.resource
    if engine is SQLITE and matching.searched:
        return found(resource, where(engine, matching, words=False))
    rows = select(literal_column("1")).select_from(resource.table).where(*where(engine, matching))
    return follow(rows, resource.table, path_plan(engine, matching))


def _total(engine: Engine, shape: Shape) -> FromClause:
    rows = matches(engine, shape.matching)
    if shape.count == "capped":
        rows = rows.limit(literal_column(str(COUNT_CAP + 1)))
    return select(func.count().label("total")).select_from(rows.subquery()).subquery("counted")
