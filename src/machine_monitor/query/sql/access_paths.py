"""Access paths: which index a list uses on SQLite, where stale statistics can mislead the planner.

The statement names the index by INDEXED BY. With a filter on one value of an indexed field, that index yields its
records in time order. With a filter on several values, or on a related record: if few records match, collect and sort
them; if many, scan the time index, which soon finds a page of them. The statement counts (up to SMALL_RESULT_LIMIT) and
decides at run time. PostgreSQL's planner chooses by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, Table, case, func, literal_column, not_, select

from machine_monitor.database.engines import Engine
from machine_monitor.query.language.parser import Order
from machine_monitor.query.schema import Resource
from machine_monitor.query.sql.filters import Filter, FilterKey, filter_clause, is_single_value_equality, own_column_of

# Counting 5,000 records takes 0.5 ms; sorting them takes a few.
SMALL_RESULT_LIMIT = 5_000


@dataclass(frozen=True)
class AccessPath:
    """How to read a page.

    `hint` is the index hint for SQLite (None: the planner chooses). `when` is the condition under which this path is
    used (None: always). If it `sorts`, row ids are selected and sorted first, and JSON is built only for the page.
    """

    hint: str | None = None
    when: ColumnElement | None = None
    sorts: bool = False


def access_paths(engine: Engine, filter_key: FilterKey, order: Order) -> list[AccessPath]:
    """Return the access paths of a page; at run time only one of them yields rows."""
    resource = filter_key.resource
    if not engine.index_hints or not resource.index_prefixes:
        return [AccessPath()]
    if filter_key.search or not resource.is_order_of_tiebreakers(order):
        return [AccessPath(sorts=True)]
    equality_columns = {
        column.name
        for filter_ in filter_key.filters
        if (column := own_column_of(resource, filter_)) is not None and filter_.operator.is_any_of
    }
    if resource.unique_column in equality_columns:
        return [AccessPath(sorts=True)]
    if prefix := equality_prefix(filter_key):
        return [AccessPath(_index_hint(resource, prefix))]
    time_index = _index_hint(resource, ())
    for filter_ in filter_key.filters:
        if hint := _selective_index_hint(resource, filter_):
            many = _exceeds_small_result_limit(resource, filter_clause(engine, resource, filter_), hint)
            return [AccessPath(time_index, many), AccessPath(hint, not_(many), sorts=True)]
    return [AccessPath(time_index)]


def unordered_path(engine: Engine, filter_key: FilterKey) -> AccessPath:
    """Return the access path for an unordered read: the index whose prefix the filters fix, if any."""
    prefix = equality_prefix(filter_key)
    return AccessPath(_index_hint(filter_key.resource, prefix)) if engine.index_hints and prefix else AccessPath()


def use_index(query: Select, table: Table, path: AccessPath) -> Select:
    """Add the index hint of this path."""
    return query if path.hint is None else query.with_hint(table, path.hint, "sqlite")


def limit_if_chosen(path: AccessPath, rows: ColumnElement) -> ColumnElement:
    """Return the LIMIT of this path: 0 if another path is chosen.

    In a LIMIT, SQLite evaluates the condition once; in WHERE, once per row.
    """
    return rows if path.when is None else case((path.when, rows), else_=literal_column("0"))


def equality_prefix(filter_key: FilterKey) -> tuple[str, ...]:
    """Return the first index prefix whose columns the filters fix to one value each; empty if there is none."""
    resource = filter_key.resource
    columns = [own_column_of(resource, filter_) for filter_ in filter_key.filters if is_single_value_equality(filter_)]
    fixed = {column.name for column in columns if column is not None}
    return next((prefix for prefix in resource.index_prefixes if prefix and fixed.issuperset(prefix)), ())


def _selective_index_hint(resource: Resource, filter_: Filter) -> str | None:
    """Return the index hint for reading all matches of a filter, unordered; None if no index makes this cheap."""
    column = own_column_of(resource, filter_)
    if filter_.field.any_of:
        return None
    if column is None:
        # A filter on child rows: a subquery yields the ids of the records. NOT INDEXED still allows lookups by id.
        return None if filter_.operator.complement else "NOT INDEXED"
    is_selective = filter_.operator.is_any_of or (filter_.field.joins and not filter_.operator.keeps_null)
    return _index_hint(resource, (column.name,)) if is_selective and (column.name,) in resource.index_prefixes else None


def _index_hint(resource: Resource, prefix: Sequence[str]) -> str:
    return f"INDEXED BY {resource.index_name(prefix)}"


def _exceeds_small_result_limit(resource: Resource, clause: ColumnElement, hint: str) -> ColumnElement:
    """Return an SQL condition: more than SMALL_RESULT_LIMIT records match."""
    table = resource.table
    matches = use_index(select(literal_column("1")).select_from(table).where(clause), table, AccessPath(hint))
    limited = matches.limit(literal_column(str(SMALL_RESULT_LIMIT + 1))).subquery()
    return select(func.count()).select_from(limited).scalar_subquery() > literal_column(str(SMALL_RESULT_LIMIT))
