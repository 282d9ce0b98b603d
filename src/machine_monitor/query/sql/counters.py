"""Counters: the rows of a resource's table of counts that tell of a field, and their values as columns."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, FromClause, Integer, case, cast, func, literal_column

from machine_monitor.query.metrics import Counters
from machine_monitor.query.schema import Field, Resource

ALL_TIME = "all"
ZONE = "zone"


def counters_of(resource: Resource) -> Counters:
    """The counters of a resource that has some."""
    assert resource.summary is not None
    assert resource.summary.counters is not None
    return resource.summary.counters


def counted_field(resource: Resource, known: Field) -> str | None:
    """The field whose counts tell of this one, if any do: of a related record, those of the field that names it."""
    name = known.name.partition(".")[0]
    has_counters = resource.summary is not None and resource.summary.counters is not None
    return name if has_counters and name in counters_of(resource).units else None


def rows_of(resource: Resource, field: str, unit: str) -> list[ColumnElement]:
    """The conditions of the rows of a field and a unit of time; literals, for the partial index."""
    table = counters_of(resource).table
    return [table.c.field == literal_column(f"'{field}'"), table.c.unit == literal_column(f"'{unit}'")]


def joined(resource: Resource, shown: Iterable[Field]) -> FromClause:
    """The counts, joined with the related records of these fields."""
    source: FromClause = counters_of(resource).table
    for i, join in dict.fromkeys((i, join) for known in shown for i, join in enumerate(known.joins)):
        condition = join.condition if i else _names(resource, join.target.c[join.reference.to])
        source = source.join(join.target, condition, isouter=join.is_outer)
    return source


def column(resource: Resource, known: Field) -> ColumnElement:
    """A field's column in what `joined` gives."""
    return known.column if known.joins and known.column is not None else _value(resource)


def _names(resource: Resource, theirs: ColumnElement) -> ColumnElement:
    ours = _value(resource)
    return theirs == (cast(ours, theirs.type) if isinstance(theirs.type, Integer) else ours)


def _value(resource: Resource) -> ColumnElement:
    """The text of a counted value, which is stored after a `=`; null for null."""
    value = counters_of(resource).table.c.value
    return case((value != literal_column("''"), func.substr(value, literal_column("2"))))
