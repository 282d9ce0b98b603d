"""Lists: keyset-paginated pages. Each page is one SQL statement that returns finished JSON.

Statements are compiled once for each `StatementKey` and cached; later requests only bind values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from machine_monitor.database.statements import MAX_PAGE_BYTES, Statement, compile_statement, statement_cache
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Fault, invalid
from machine_monitor.query.language import cursors
from machine_monitor.query.language.cursors import Cursor
from machine_monitor.query.language.parser import ListQuery, Order
from machine_monitor.query.schema import Field, Resource
from machine_monitor.query.sql.access_paths import AccessPath, access_paths, limit_if_chosen, unordered_path, use_index
from machine_monitor.query.sql.documents import record_json, selected_fields
from machine_monitor.query.sql.filters import FilterKey, compile_filters, scope_param, where
from machine_monitor.query.sql.keysets import Keyset, SortKeys, compile_keyset, ranges
from machine_monitor.query.sql.search import first_search_hits, scans_search_index, search_hits, seek_from

COUNT_CAP = 10_000
LIMIT_PARAM = bindparam("limit", type_=INTEGER.column_type)


@dataclass(frozen=True)
class Page:
    """One page of a list: the response body, and the cursors and total for its headers."""

    body: bytes
    next: str | None
    previous: str | None
    total: int | None

    def preceded_by(self, items: Sequence[bytes]) -> "Page":
        """Return the page with more items before its own."""
        if not items:
            return self
        opening, own = b'{"items":[', self.body.removeprefix(b'{"items":[')
        separator = b"" if own.startswith(b"]") else b","
        return replace(self, body=opening + b",".join(items) + separator + own)


class StatementKey(NamedTuple):
    """The cache key of a list statement: everything its SQL text depends on.

    `limit` is part of it only on engines whose planner needs a literal limit.
    """

    filter_key: FilterKey
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
        return self.filter_key.resource

    @property
    def backward(self) -> bool:
        """Whether the page is read in reverse, towards the start of the list."""
        return self.keyset is not None and self.keyset.backward


async def fetch(database: Database, query: ListQuery, scope: Mapping[str, Any] | None = None) -> Page:
    """Return the requested page. `scope` has the values of the resource's scope columns (a history: its record)."""
    key, values = bind_list(database.engine, query)
    if scope:
        values |= {scope_param(name): value for name, value in scope.items()}
    statement = await database.get_statement(list_statement, database.engine, key)
    return _page(database.engine, query, await database.fetch(statement, values))


def read(tx: Transaction, query: ListQuery, scope: Mapping[str, Any]) -> Page:
    """Return the requested page, as a transaction sees it."""
    statement, values = compile_list(tx.engine, query)
    values |= {scope_param(name): value for name, value in scope.items()}
    return _page(tx.engine, query, tx.execute(statement, values))


def compile_list(engine: Engine, query: ListQuery) -> tuple[Statement, dict[str, Any]]:
    """Compile a list query; return the statement and its bind values."""
    key, values = bind_list(engine, query)
    return list_statement(engine, key), values


def find_bound(engine: Engine, query: ListQuery) -> tuple[Statement, dict[str, Any]] | None:
    """Return the statement of a list query and its bind values, if it is compiled already."""
    key, values = bind_list(engine, query)
    statement = list_statement.find(engine, key)
    return None if statement is None else (statement, values)


def bind_list(engine: Engine, query: ListQuery) -> tuple[StatementKey, dict[str, Any]]:
    """Split a list query into the key of its statement and the bind values."""
    resource, cursor = query.resource, query.cursor
    filter_key, values = compile_filters(engine, resource, query.conditions, query.terms)
    # Read one extra row: it tells whether there is another page.
    values["limit"], values["offset"] = query.limit + 1, query.offset
    keyset = None
    if cursor is not None:
        keyset, keyset_values = compile_keyset(engine, resource, query.order, cursor)
        values |= keyset_values
    if filter_key.search is not None:
        values[filter_key.search.max_hits] = query.limit + 1 + (query.offset or 0)
        if cursor is not None and scans_search_index(engine, resource, filter_key.search, query.order):
            instant, row_id = cursor.values
            descending = query.order[0][1] != cursor.backward
            seek_from(values, filter_key.search, (instant, row_id), descending=descending)
    key = StatementKey(
        filter_key,
        query.order,
        query.fields,
        query.expand,
        keyset,
        query.count,
        offset=query.offset is not None,
        # PostgreSQL's generic plan for an unknown limit is so expensive that it would replan for every execution.
        limit=query.limit + 1 if engine.literal_limit else None,
    )
    return key, values


@statement_cache(1024)
def list_statement(engine: Engine, key: StatementKey) -> Statement:
    """Compile one page: rows of (document, total, sort key values).

    A counted page without records is one row whose document is null.
    """
    searching = key.filter_key.search is not None
    order = [(key.resource.sort_key_fields[name], descending != key.backward) for name, descending in key.order]
    pages = _pages(engine, key, order)

    def by_keys(rows: FromClause) -> list[ColumnElement]:
        return sort_keys([rows.c[f"k{i}"] for i in range(len(order))], order, backward=key.backward)

    if len(pages) == 1 and key.count == "none":
        return compile_statement(engine, engine.limit_bytes(pages[0], by_keys), uses_fulltext=searching)
    rows = (pages[0] if len(pages) == 1 else union_all(*[select(page.subquery()) for page in pages])).subquery("page")
    if key.count == "none":
        merged = select(rows)
    else:
        total, columns = _total(engine, key), [rows.c[f"k{i}"] for i in range(len(order))]
        merged = select(rows.c.item, total.c.total, *columns).select_from(total.outerjoin(rows, true()))
    merged = merged.order_by(*by_keys(rows)).limit(_limit(key))
    return compile_statement(engine, engine.limit_bytes(merged, by_keys), uses_fulltext=searching)


def _pages(engine: Engine, key: StatementKey, order: SortKeys) -> list[Select]:
    """Return one select per access path; only one of them yields rows when the statement runs."""
    filter_key, resource = key.filter_key, key.resource
    after = ranges(resource, key.keyset, order)
    if filter_key.search is not None and scans_search_index(engine, resource, filter_key.search, key.order):
        conditions = [*where(engine, filter_key, include_search=False), *after]
        hits = first_search_hits(resource, filter_key.search, conditions, descending=order[0][1])
        page = _add_order(_item(engine, key, order), key, order)
        return [_add_limit(page, key, _limit(key)).where(resource.table.c.id.in_(hits))]
    conditions = where(engine, filter_key)
    key_ranges = [[*conditions, key_range] for key_range in after]
    return [_page_through(engine, key, order, path, key_ranges) for path in access_paths(engine, filter_key, key.order)]


def _page_through(
    engine: Engine, key: StatementKey, order: SortKeys, path: AccessPath, key_ranges: list[list[ColumnElement]]
) -> Select:
    """Select the page through one access path.

    With several key ranges, each range is limited to the rows still missing.
    """
    table, page, remaining = key.resource.table, _item(engine, key, order), _limit(key)
    if not path.sorts and len(key_ranges) == 1:
        page = _add_order(use_index(page, table, path).where(*key_ranges[0]), key, order)
        return _add_limit(page, key, limit_if_chosen(path, remaining))
    chosen = []
    for conditions in key_ranges:
        rows = select(table.c.id).select_from(key.resource.joined_table([field for field, _ in order]))
        rows = _add_order(use_index(rows, table, path).where(*conditions), key, order)
        ids = _add_limit(rows, key, limit_if_chosen(path, remaining)).cte()
        chosen.append(select(ids))
        remaining -= select(func.count()).select_from(ids).scalar_subquery()
    return _add_order(page, key, order).where(table.c.id.in_(union_all(*chosen)))


def _item(engine: Engine, key: StatementKey, order: SortKeys) -> Select:
    resource = key.resource
    fields = selected_fields(resource, key.fields, key.expand)
    item = engine.driver_json(record_json(engine, resource, key.fields, key.expand)).label("item")
    keys = [field.column.label(f"k{i}") for i, (field, _) in enumerate(order) if field.column is not None]
    source = resource.joined_table([*fields, *[field for field, _ in order]])
    return select(item, null().label("total"), *keys).select_from(source)


def _add_limit(query: Select, key: StatementKey, rows: ColumnElement) -> Select:
    """Add LIMIT, and OFFSET if the request has one."""
    page = query.limit(rows)
    return page.offset(bindparam("offset", type_=INTEGER.column_type)) if key.offset else page


def _limit(key: StatementKey) -> ColumnElement:
    return LIMIT_PARAM if key.limit is None else literal_column(str(key.limit))


def _add_order(query: Select, key: StatementKey, order: SortKeys) -> Select:
    columns = [field.column for field, _ in order if field.column is not None]
    return query.order_by(*sort_keys(columns, order, backward=key.backward))


def sort_keys(columns: Sequence[ColumnElement], order: SortKeys, *, backward: bool = False) -> list[ColumnElement]:
    """Return the ORDER BY terms. Nulls sort last in both directions, and therefore first when reading backward."""
    return [
        _sort_key(column, field, descending=descending, backward=backward)
        for column, (field, descending) in zip(columns, order, strict=True)
    ]


def _sort_key(column: ColumnElement, field: Field, *, descending: bool, backward: bool) -> ColumnElement:
    directed = column.desc() if descending else column.asc()
    if not field.nullable:
        return directed
    return directed.nulls_first() if backward else directed.nulls_last()


def matching_rows(engine: Engine, filter_key: FilterKey) -> Select:
    """Select one row for each matching record, unordered, for counting."""
    resource = filter_key.resource
    if engine.search_follows_time and filter_key.search is not None:
        return search_hits(resource, filter_key.search, where(engine, filter_key, include_search=False))
    rows = select(literal_column("1")).select_from(resource.table).where(*where(engine, filter_key))
    return use_index(rows, resource.table, unordered_path(engine, filter_key))


def _total(engine: Engine, key: StatementKey) -> FromClause:
    rows = matching_rows(engine, key.filter_key)
    if key.count == "capped":
        rows = rows.limit(literal_column(str(COUNT_CAP + 1)))
    return select(func.count().label("total")).select_from(rows.subquery()).subquery("counted")


def fit_page(rows: list[Any]) -> list[Any]:
    """Return the rows whose documents fit into one page; the first one always does."""
    items = [row[0] for row in rows]
    if None not in items and sum(map(len, items)) + len(items) <= MAX_PAGE_BYTES:
        return rows
    size = 0
    for count, item in enumerate(items):
        if item is None:  # a counted page without records, or a document that did not fit
            return rows[:count]
        size += len(item) + 1
        if size > MAX_PAGE_BYTES and count:
            return rows[:count]
    return rows


def _page(engine: Engine, query: ListQuery, rows: list[Any]) -> Page:
    total = rows[0][1] if rows and query.count != "none" else None
    fitting = fit_page(rows)
    if query.offset is not None and 0 < len(fitting) < min(len(rows), query.limit):
        message = f"The page would exceed 8 MiB: use limit={len(fitting)} or less, or 'cursor' instead of 'offset'."
        raise invalid([Fault(message, "too-many", parameter="limit")])
    has_extra_row = 0 < len(fitting) < len(rows) or len(rows) > query.limit
    rows = fitting[: query.limit]
    backward = query.cursor is not None and query.cursor.backward
    if backward:
        rows.reverse()
    has_previous = has_extra_row if backward else query.cursor is not None or bool(query.offset)
    previous_cursor = _cursor(engine, query, rows[:1], backward=True) if has_previous else None
    next_cursor = _cursor(engine, query, rows[-1:], backward=False) if backward or has_extra_row else None
    capped = query.count == "capped" and total is not None and total > COUNT_CAP
    total = COUNT_CAP if capped else total
    rest = (
        f'],"next":{_json_string(next_cursor)},"previous":{_json_string(previous_cursor)},'
        f'"total":{"null" if total is None else total},"total_capped":{"true" if capped else "false"}}}'
    )
    body = b"".join((b'{"items":[', engine.join_json([row[0] for row in rows]), rest.encode()))
    return Page(body, next_cursor, previous_cursor, total)


def _cursor(engine: Engine, query: ListQuery, end: list[Any], *, backward: bool) -> str | None:
    """Return the cursor of the neighbouring page, made from the row at that end of this page.

    `end` is empty if the page has no rows.
    """
    if end:
        kinds = [query.resource.sort_key_fields[name].kind for name, _ in query.order]
        values = tuple(engine.from_db(value, kind) for kind, value in zip(kinds, end[0][2:], strict=True))
        return cursors.encode(Cursor(query.fingerprint, values, backward, now=query.relative_to))
    if query.cursor is None:
        return None
    # The page is empty because its records were deleted since. The opposite cursor must include the record that it
    # started from.
    return cursors.encode(replace(query.cursor, backward=backward, inclusive=not query.cursor.inclusive))


def _json_string(cursor: str | None) -> str:
    return "null" if cursor is None else f'"{cursor}"'
