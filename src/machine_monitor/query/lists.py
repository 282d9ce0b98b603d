"""A list: one statement for a page, built and compiled once for each shape, one hop to the database, finished bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

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

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.query.language import cursors
from machine_monitor.query.language.cursors import Cursor
from machine_monitor.query.language.parser import ListQuery, Order
from machine_monitor.query.schema import Field, Resource
from machine_monitor.query.sql.access_paths import AccessPath, access_paths, limit_of, unordered_path, use_index
from machine_monitor.query.sql.documents import document, shown_fields
from machine_monitor.query.sql.filters import Matching, compile_filters, scope_name, where
from machine_monitor.query.sql.keysets import Direction, Keyset, compile_keyset, ranges
from machine_monitor.query.sql.search import first_found, found, seek_from, walks_index

COUNT_CAP = 10_000
LIMIT = bindparam("limit", type_=INTEGER.column_type)


@dataclass(frozen=True)
class Page:
    """One page of a list, as the JSON text that goes out, and what its headers say."""

    body: bytes
    next: str | None
    previous: str | None
    total: int | None


class Shape(NamedTuple):
    """All that a list's statement depends on; `limit` is a part of its text where the engine plans by it."""

    matching: Matching
    order: Order
    fields: tuple[str, ...]
    expand: tuple[str, ...]
    keyset: Keyset | None = None
    count: str = "none"
    offset: bool = False
    limit: int | None = None

    @property
    def resource(self) -> Resource:
        """The resource whose records are listed."""
        return self.matching.resource

    @property
    def backward(self) -> bool:
        """Whether the page is read against the list's order."""
        return self.keyset is not None and self.keyset.backward


async def fetch(database: Database, query: ListQuery, scope: Mapping[str, Any] | None = None) -> Page:
    """The page that a query asks for; `scope` has the values of the resource's scope columns."""
    statement, values = compile_list(database.engine, query)
    if scope:
        values |= {scope_name(name): value for name, value in scope.items()}
    return _page(database.engine, query, await database.fetch(statement, values))


def compile_list(engine: Engine, query: ListQuery) -> tuple[Statement, dict[str, Any]]:
    """The statement of a list, and the values that it binds."""
    resource, cursor = query.resource, query.cursor
    matching, values = compile_filters(engine, resource, query.conditions, query.terms)
    # One row more than the page tells whether there is another page.
    values["limit"], values["offset"] = query.limit + 1, query.offset
    keyset = None
    if cursor is not None:
        keyset, marks = compile_keyset(engine, resource, query.order, cursor)
        values |= marks
    if matching.search is not None:
        values[matching.search.reach] = query.limit + 1 + (query.offset or 0)
        if cursor is not None and walks_index(engine, resource, matching.search, query.order):
            instant, identity = cursor.values
            descending = query.order[0][1] != cursor.backward
            seek_from(values, matching.search, (instant, identity), descending=descending)
    shape = Shape(
        matching,
        query.order,
        query.fields,
        query.expand,
        keyset,
        query.count,
        offset=query.offset is not None,
        # A plan for any number of rows costs PostgreSQL so much that it makes a new one each time.
        limit=query.limit + 1 if engine.literal_limit else None,
    )
    return list_statement(engine, shape), values


@lru_cache(maxsize=1024)
def list_statement(engine: Engine, shape: Shape) -> Statement:
    """One page: rows of (document, total, value of each field of the order); without rows one of nulls if counted."""
    searching = shape.matching.search is not None
    order = [(shape.resource.orderable[name], descending != shape.backward) for name, descending in shape.order]
    pages = _pages(engine, shape, order)
    if len(pages) == 1 and shape.count == "none":
        return compile_statement(engine, pages[0], uses_fulltext=searching)
    rows = (pages[0] if len(pages) == 1 else union_all(*[select(page.subquery()) for page in pages])).subquery("page")
    columns = [rows.c[f"k{i}"] for i in range(len(order))]
    if shape.count == "none":
        merged = select(rows)
    else:
        total = _total(engine, shape)
        merged = select(rows.c.item, total.c.total, *columns).select_from(total.outerjoin(rows, true()))
    merged = merged.order_by(*sort_keys(columns, order, backward=shape.backward)).limit(_limit(shape))
    return compile_statement(engine, merged, uses_fulltext=searching)


def _pages(engine: Engine, shape: Shape, order: Direction) -> list[Select]:
    """The page by each way to read it, of which one yields rows."""
    matching, resource = shape.matching, shape.resource
    after = ranges(resource, shape.keyset, order)
    if matching.search is not None and walks_index(engine, resource, matching.search, shape.order):
        conditions = [*where(engine, matching, words=False), *after]
        hits = first_found(resource, matching.search, conditions, descending=order[0][1])
        page = _sorted(_item(engine, shape, order), shape, order)
        return [_rows(page, shape, _limit(shape)).where(resource.table.c.id.in_(hits))]
    conditions = where(engine, matching)
    parts = [[*conditions, part] for part in after]
    return [_page_by(engine, shape, order, path, parts) for path in access_paths(engine, matching, shape.order)]


def _page_by(
    engine: Engine, shape: Shape, order: Direction, path: AccessPath, parts: list[list[ColumnElement]]
) -> Select:
    """The page by one way; of several ranges, each takes only the rows that those before it leave room for."""
    table, page, room = shape.resource.table, _item(engine, shape, order), _limit(shape)
    if not path.sorts and len(parts) == 1:
        found = _sorted(use_index(page, table, path).where(*parts[0]), shape, order)
        return _rows(found, shape, limit_of(path, room))
    chosen = []
    for conditions in parts:
        rows = select(table.c.id).select_from(shape.resource.source([known for known, _ in order]))
        rows = _sorted(use_index(rows, table, path).where(*conditions), shape, order)
        ids = _rows(rows, shape, limit_of(path, room)).cte()
        chosen.append(select(ids))
        room -= select(func.count()).select_from(ids).scalar_subquery()
    return _sorted(page, shape, order).where(table.c.id.in_(union_all(*chosen)))


def _item(engine: Engine, shape: Shape, order: Direction) -> Select:
    resource = shape.resource
    shown = shown_fields(resource, shape.fields, shape.expand)
    item = engine.driver_json(document(engine, resource, shape.fields, shape.expand)).label("item")
    keys = [known.column.label(f"k{i}") for i, (known, _) in enumerate(order) if known.column is not None]
    source = resource.source([*shown, *[known for known, _ in order]])
    return select(item, null().label("total"), *keys).select_from(source)


def _rows(query: Select, shape: Shape, rows: ColumnElement) -> Select:
    """So many rows of all that a query gives."""
    page = query.limit(rows)
    return page.offset(bindparam("offset", type_=INTEGER.column_type)) if shape.offset else page


def _limit(shape: Shape) -> ColumnElement:
    return LIMIT if shape.limit is None else literal_column(str(shape.limit))


def _sorted(query: Select, shape: Shape, order: Direction) -> Select:
    columns = [known.column for known, _ in order if known.column is not None]
    return query.order_by(*sort_keys(columns, order, backward=shape.backward))


def sort_keys(columns: Sequence[ColumnElement], order: Direction, *, backward: bool = False) -> list[ColumnElement]:
    """What a statement sorts by: nulls come last in either direction, and so first on the way back."""
    return [
        _sort_key(column, known, descending=descending, backward=backward)
        for column, (known, descending) in zip(columns, order, strict=True)
    ]


def _sort_key(column: ColumnElement, known: Field, *, descending: bool, backward: bool) -> ColumnElement:
    directed = column.desc() if descending else column.asc()
    if not known.nullable:
        return directed
    return directed.nulls_first() if backward else directed.nulls_last()


def matches(engine: Engine, matching: Matching) -> Select:
    """A row for each record that matches, in no order: to be counted."""
    resource = matching.resource
    if engine.search_follows_time and matching.search is not None:
        return found(resource, matching.search, where(engine, matching, words=False))
    rows = select(literal_column("1")).select_from(resource.table).where(*where(engine, matching))
    return use_index(rows, resource.table, unordered_path(engine, matching))


def _total(engine: Engine, shape: Shape) -> FromClause:
    rows = matches(engine, shape.matching)
    if shape.count == "capped":
        rows = rows.limit(literal_column(str(COUNT_CAP + 1)))
    return select(func.count().label("total")).select_from(rows.subquery()).subquery("counted")


def _page(engine: Engine, query: ListQuery, rows: list[Any]) -> Page:
    total = rows[0][1] if rows and query.count != "none" else None
    rows = [row for row in rows if row[0] is not None]
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    backward = query.cursor is not None and query.cursor.backward
    if backward:
        rows.reverse()
    before = more if backward else query.cursor is not None or bool(query.offset)
    preceding = _cursor(engine, query, rows[:1], backward=True) if before else None
    following = _cursor(engine, query, rows[-1:], backward=False) if backward or more else None
    capped = query.count == "capped" and total is not None and total > COUNT_CAP
    total = COUNT_CAP if capped else total
    rest = (
        f'],"next":{_text(following)},"previous":{_text(preceding)},'
        f'"total":{"null" if total is None else total},"total_capped":{"true" if capped else "false"}}}'
    )
    body = b'{"items":[' + engine.join_json([row[0] for row in rows]) + rest.encode()
    return Page(body, following, preceding, total)


def _cursor(engine: Engine, query: ListQuery, end: list[Any], *, backward: bool) -> str | None:
    """The cursor of the page beyond one end of this page, which is its first row, its last, or none."""
    if end:
        kinds = [query.resource.orderable[name].kind for name, _ in query.order]
        marks = tuple(engine.from_db(value, kind) for kind, value in zip(kinds, end[0][2:], strict=True))
        return cursors.encode(Cursor(query.fingerprint, marks, backward, now=query.relative_to))
    if query.cursor is None:
        return None
    # All that was there has gone since: the way back includes the record that this page came from.
    return cursors.encode(replace(query.cursor, backward=backward, inclusive=not query.cursor.inclusive))


def _text(cursor: str | None) -> str:
    return "null" if cursor is None else f'"{cursor}"'
