"""Which index of SQLite's gives a list in the order of time: named, so that no statistics can mislead the planner.

A single value of an indexed field gives its records in order. Several values, or a field of a related record, do not:
if they have few records, those are collected and sorted; if many, a walk through time meets enough of them soon.
PostgreSQL's planner sees the values and chooses by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, Table, case, func, literal_column, not_, select

from machine_monitor.database.engines import SQLITE, Engine
from machine_monitor.query.operators import EQUAL, OPERATORS
from machine_monitor.query.statements.conditions import column_of, condition, names_one
from machine_monitor.query.statements.shapes import Filter, Matching
from machine_monitor.query.vocabulary import Resource

# So many are counted in half a millisecond, and collected and sorted in a few.
FEW = 5_000


@dataclass(frozen=True)
class Plan:
    """One way to a page: by which index, and when; if it `sorts`, its rows are chosen before their JSON is built."""

    index: str | None = None
    when: ColumnElement | None = None
    sorts: bool = False


def plans(engine: Engine, matching: Matching, order: Sequence[tuple[str, bool]]) -> list[Plan]:
    """The ways to a page, of which one yields rows."""
    resource = matching.resource
    if engine is not SQLITE or not resource.paths:
        return [Plan()]
    if matching.searched or not resource.is_in_order_of_ties(order):
        return [Plan(sorts=True)]
    filters = [(column_of(resource, part.field).name, part, f"f{i}") for i, part in enumerate(matching.filters)]
    if any(column == resource.unique_by and _is_any_of(part) for column, part, _ in filters):
        return [Plan(sorts=True)]
    if path := single_path(matching):
        return [Plan(_index(resource, path))]
    for column, part, name in filters:
        if (column,) in resource.paths and (_is_any_of(part) or _is_related(part)):
            index = _index(resource, (column,))
            many = _are_many(resource, condition(engine, resource, part, name), index)
            return [Plan(_index(resource, ()), many), Plan(index, not_(many), sorts=True)]
    return [Plan(_index(resource, ()))]


def path_plan(engine: Engine, matching: Matching) -> Plan:
    """The way to records in no order: the path that the filters fix, if they do."""
    path = single_path(matching)
    return Plan(_index(matching.resource, path)) if engine is SQLITE and path else Plan()


def follow(query: Select, table: Table, plan: Plan) -> Select:
    """The query by this way."""
    return query if plan.index is None else query.with_hint(table, f"INDEXED BY {plan.index}", "sqlite")


def limit(plan: Plan, rows: ColumnElement) -> ColumnElement:
    """How many rows to take by this way: in a limit, SQLite asks once whether it is the one, else for each row."""
    return rows if plan.when is None else case((plan.when, rows), else_=literal_column("0"))


def single_path(matching: Matching) -> tuple[str, ...]:
    """The first path of the resource that the filters fix to one value; empty if there is none."""
    resource = matching.resource
    fixed = {column_of(resource, part.field).name for part in matching.filters if names_one(resource, part)}
    return next((path for path in resource.paths if path and fixed.issuperset(path)), ())


def _is_any_of(part: Filter) -> bool:
    return part.operator in (EQUAL, OPERATORS["in"])


def _is_related(part: Filter) -> bool:
    return part.field.relation is not None and not part.operator.keeps_null


def _index(resource: Resource, path: tuple[str, ...]) -> str:
    return "_".join(["ix", resource.table.name, *path, *resource.ties])


def _are_many(resource: Resource, clause: ColumnElement, index: str) -> ColumnElement:
    """Whether more than a few records fulfil a condition."""
    table = resource.table
    some = follow(select(literal_column("1")).select_from(table).where(clause), table, Plan(index))
    counted = some.limit(literal_column(str(FEW + 1))).subquery()
    return select(func.count()).select_from(counted).scalar_subquery() > literal_column(str(FEW))
