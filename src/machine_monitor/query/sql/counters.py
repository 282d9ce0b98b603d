"""SQL expressions over a resource's counter table."""

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, FromClause, Integer, case, cast, func, literal_column

from machine_monitor.query.metrics import Counters
from machine_monitor.query.schema import Field, Resource

ALL_TIME = "all"
ZONE = "zone"


def counters_of(resource: Resource) -> Counters:
    """Return the resource's counters; it must have some."""
    assert resource.summary is not None
    assert resource.summary.counters is not None
    return resource.summary.counters


def counter_field_of(resource: Resource, field: Field) -> str | None:
    """Return the counted field that this field can be derived from; None if there is none.

    `machine.sector` is derived from `machine`.
    """
    name = field.name.partition(".")[0]
    has_counters = resource.summary is not None and resource.summary.counters is not None
    return name if has_counters and name in counters_of(resource).units else None


def row_clauses(resource: Resource, names: Sequence[str], unit: str) -> list[ColumnElement]:
    """Return the WHERE clauses that select the counters of these names and unit."""
    table = counters_of(resource).table
    is_selected = (
        is_counter(resource, names[0])
        if len(names) == 1
        else table.c.field.in_([literal_column(f"'{name}'") for name in names])
    )
    return [is_selected, table.c.unit == literal_column(f"'{unit}'")]


def is_counter(resource: Resource, counter: str) -> ColumnElement:
    """Return the clause that selects the counters of this name: a field's, or partial ones."""
    return counters_of(resource).table.c.field == literal_column(f"'{counter}'")


def join_related(resource: Resource, fields: Iterable[Field]) -> FromClause:
    """Return the counter table joined with the related tables of these fields."""
    source: FromClause = counters_of(resource).table
    for i, join in dict.fromkeys((i, join) for field in fields for i, join in enumerate(field.joins)):
        condition = join.condition if i else _join_condition(resource, join.target.c[join.reference.to])
        source = source.join(join.target, condition, isouter=join.is_outer)
    return source


def column(resource: Resource, field: Field) -> ColumnElement:
    """Return a field's column in the result of `join_related`."""
    return field.column if field.joins and field.column is not None else _value(resource)


def _join_condition(resource: Resource, referenced: ColumnElement) -> ColumnElement:
    value = _value(resource)
    return referenced == (cast(value, referenced.type) if isinstance(referenced.type, Integer) else value)


def _value(resource: Resource) -> ColumnElement:
    """Return the counted value. It is stored as '=' + text, and null as an empty text."""
    value = counters_of(resource).table.c.value
    return case((value != literal_column("''"), func.substr(value, literal_column("2"))))
