"""Counters: the rows of a resource's table of counts that tell of a field, and their values as columns."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, FromClause, Integer, case, cast, func, literal_column

from machine_monitor.query.schema import Counters, Field, Resource

ALL_TIME = "all"
ZONE = "zone"


def counters_of(resource: Resource) -> Counters:
    """The counters of a resource that has some."""
    assert resource.summary is not None
    assert resource.summary.counters is not None
    return resource.summary.counters


def counter_field_of(resource: Resource, field: Field) -> str | None:
    """The field whose counts tell of this one, if any do: of a related record, those of the field that names it."""
    name = field.name.partition(".")[0]
    has_counters = resource.summary is not None and resource.summary.counters is not None
    return name if has_counters and name in counters_of(resource).units else None


def row_clauses(resource: Resource, field: str, unit: str) -> list[ColumnElement]:
    """The conditions of the rows of a field and a unit of time; literals, for the partial index."""
    table = counters_of(resource).table
    return [table.c.field == literal_column(f"'{field}'"), table.c.unit == literal_column(f"'{unit}'")]


def join_related(resource: Resource, fields: Iterable[Field]) -> FromClause:
    """The counts, joined with the related records of these fields."""
    source: FromClause = counters_of(resource).table
    for i, join in dict.fromkeys((i, join) for field in fields for i, join in enumerate(field.joins)):
        condition = join.condition if i else _join_condition(resource, join.target.c[join.reference.to])
        source = source.join(join.target, condition, isouter=join.is_outer)
    return source


def column(resource: Resource, field: Field) -> ColumnElement:
    """A field's column in what `join_related` gives."""
    return field.column if field.joins and field.column is not None else _value(resource)


def _join_condition(resource: Resource, referenced: ColumnElement) -> ColumnElement:
    value = _value(resource)
    return referenced == (cast(value, referenced.type) if isinstance(referenced.type, Integer) else value)


def _value(resource: Resource) -> ColumnElement:
    """The text of a counted value, which is stored after a `=`; null for null."""
    value = counters_of(resource).table.c.value
    return case((value != literal_column("''"), func.substr(value, literal_column("2"))))
