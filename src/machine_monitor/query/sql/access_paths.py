"""Which index of SQLite's gives a list in the order of time: named, so that no statistics can mislead the planner.

A single value of an indexed field gives its records in order. Several values, or a field of a related record, do not:
if they have few records, those are collected and sorted; if many, a walk through time meets enough of them soon.
PostgreSQL's planner sees the values and chooses by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, Table, case, func, literal_column, not_, select

from machine_monitor.database.engines import Engine
from machine_monitor.query.language.parser import Order
from machine_monitor.query.schema import Resource
from machine_monitor.query.sql.filters import Filter, FilterKey, filter_clause, fixes_one_value, own_column_of

# So many are counted in half a millisecond, and collected and sorted in a few.
SMALL_RESULT_LIMIT = 5_000


@dataclass(frozen=True)
class AccessPath:
    """A way to read a page: by which hint to SQLite, and when; if it `sorts`, its rows are chosen before their JSON."""

    hint: str | None = None
    when: ColumnElement | None = None
    sorts: bool = False


def access_paths(engine: Engine, matching: FilterKey, order: Order) -> list[AccessPath]:
    """The ways to read a page, of which one yields rows."""
    resource = matching.resource
    if not engine.index_hints or not resource.index_prefixes:
        return [AccessPath()]
    if matching.search or not resource.is_order_of_tiebreakers(order):
        return [AccessPath(sorts=True)]
    equality_columns = {
        column.name
        for filter_ in matching.filters
        if (column := own_column_of(resource, filter_)) is not None and filter_.operator.is_any_of
    }
    if resource.unique_by in equality_columns:
        return [AccessPath(sorts=True)]
    if prefix := fixed_prefix(matching):
        return [AccessPath(_indexed_by(resource, prefix))]
    time_index = _indexed_by(resource, ())
    for filter_ in matching.filters:
        if narrow := _narrow_hint(resource, filter_):
            many = _exceeds_small_result_limit(resource, filter_clause(engine, resource, filter_), narrow)
            return [AccessPath(time_index, many), AccessPath(narrow, not_(many), sorts=True)]
    return [AccessPath(time_index)]


def unordered_path(engine: Engine, matching: FilterKey) -> AccessPath:
    """The way to records in no order: by the index whose prefix the filters fix, if they do."""
    prefix = fixed_prefix(matching)
    return AccessPath(_indexed_by(matching.resource, prefix)) if engine.index_hints and prefix else AccessPath()


def use_index(query: Select, table: Table, path: AccessPath) -> Select:
    """The query, reading the table by this way."""
    return query if path.hint is None else query.with_hint(table, path.hint, "sqlite")


def limit_if_chosen(path: AccessPath, rows: ColumnElement) -> ColumnElement:
    """How many rows to take by this way: in a limit, SQLite asks once whether it is the one, else for each row."""
    return rows if path.when is None else case((path.when, rows), else_=literal_column("0"))


def fixed_prefix(matching: FilterKey) -> tuple[str, ...]:
    """The first index prefix of the resource that the filters fix to one value; empty if there is none."""
    resource = matching.resource
    columns = [own_column_of(resource, filter_) for filter_ in matching.filters if fixes_one_value(filter_)]
    fixed = {column.name for column in columns if column is not None}
    return next((prefix for prefix in resource.index_prefixes if prefix and fixed.issuperset(prefix)), ())


def _narrow_hint(resource: Resource, filter_: Filter) -> str | None:
    """How to find the records of a filter that may have few, without their order; None if no index tells."""
    column = own_column_of(resource, filter_)
    if column is None:
        # A list's rows tell the ids of their records.
        return None if filter_.operator.complement else "NOT INDEXED"
    narrows = filter_.operator.is_any_of or (filter_.field.joins and not filter_.operator.keeps_null)
    return _indexed_by(resource, (column.name,)) if narrows and (column.name,) in resource.index_prefixes else None


def _indexed_by(resource: Resource, prefix: Sequence[str]) -> str:
    return f"INDEXED BY {resource.index_name(prefix)}"


def _exceeds_small_result_limit(resource: Resource, clause: ColumnElement, hint: str) -> ColumnElement:
    """Whether more than a few records fulfil a condition."""
    table = resource.table
    some = use_index(select(literal_column("1")).select_from(table).where(clause), table, AccessPath(hint))
    counted = some.limit(literal_column(str(SMALL_RESULT_LIMIT + 1))).subquery()
    return select(func.count()).select_from(counted).scalar_subquery() > literal_column(str(SMALL_RESULT_LIMIT))
