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
    ).limit(LIMIT)
    return compile_statement(engine, merged, searching=searching)


def _pages(engine: Engine, shape: Shape, order: Order) -> list[Select]:
    """The page, as parts that follow each other or exclude each other: ranges of the order, ways to read them."""
    matching, table, ranges = shape.matching, shape.resource.table, branches(shape.resource, shape.keyset, order)
    if follows_order(engine, matching, shape.order):
        conditions = [*where(engine, matching, words=False), *ranges]
        hits = first_found(shape.resource, conditions, descending=order[0][1])
        return [_rows(_item(engine, shape, order), shape, order, Plan()).where(table.c.id.in_(hits))]
    conditions, found = where(engine, matching), []
    for way in plans(engine, matching, shape.order):
        for part in ranges:
            page = _item(engine, shape, order)
            if way.sorts:
                chosen = select(table.c.id).select_from(shape.resource.source([known for known, _ in order]))
                chosen = _rows(follow(chosen, table, way).where(*conditions, part), shape, order, way)
                found.append(_sorted(page, shape, order).where(table.c.id.in_(chosen)))
            else:
                found.append(_rows(follow(page, table, way).where(*conditions, part), shape, order, way))
    return found


def _item(engine: Engine, shape: Shape, order: Order) -> Select:
    shown = [shape.resource.fields[name] for name in shape.fields]
    item = engine.item(document(engine, shape.resource, shape.fields, shape.expand)).label("item")
    keys = [known.column.label(f"k{i}") for i, (known, _) in enumerate(order)]
    source = shape.resource.source([*shown, *[known for known, _ in order]], shape.expand)
    return select(item, null().label("total"), *keys).select_from(source)


def _rows(query: Select, shape: Shape, order: Order, way: Plan) -> Select:
    """The rows of a page, of all that a query gives."""
    page = _sorted(query, shape, order).limit(limit(way, LIMIT))
    return page.offset(bindparam("offset", type_=INTEGER.column_type)) if shape.offset else page


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
