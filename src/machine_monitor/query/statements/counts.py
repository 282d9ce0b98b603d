"""Counts that are kept: the rows that tell of a field, and their values as the columns that they were made of."""

from sqlalchemy import ColumnElement, FromClause, Integer, case, cast, func, literal_column

from machine_monitor.query.vocabulary import Field, Resource

EVER = "all"
ZONE = "zone"


def text(value: ColumnElement) -> ColumnElement:
    """The text of a kept value; null for null."""
    return case((value != literal_column("''"), func.substr(value, literal_column("2"))))


def kept_as(known: Field) -> str:
    """The field whose counts tell of this one: of a related record, those of the field that names it."""
    return known.relation or known.name


def rows_of(resource: Resource, field: str, unit: str) -> list[ColumnElement]:
    """The conditions of the rows of a field and a unit of time; literals, for the partial index."""
    assert resource.summary is not None
    counts = resource.summary.counts
    return [counts.c.field == literal_column(f"'{field}'"), counts.c.unit == literal_column(f"'{unit}'")]


def joined(resource: Resource, shown: list[Field]) -> FromClause:
    """The counts, joined with the related records of these fields."""
    assert resource.summary is not None
    counts = resource.summary.counts
    source: FromClause = counts
    for name in dict.fromkeys(known.relation for known in shown if known.relation):
        related = resource.relations[name]
        theirs = related.resource.table.c[related.to]
        ours = text(counts.c.value)
        source = source.join(
            related.resource.table, theirs == (cast(ours, theirs.type) if isinstance(theirs.type, Integer) else ours)
        )
    return source


def column(resource: Resource, known: Field) -> ColumnElement:
    """A field's column in what `joined` gives."""
    assert resource.summary is not None
    return known.column if known.relation else text(resource.summary.counts.c.value)
