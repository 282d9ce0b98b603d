"""Declaring a resource: what it cannot be is refused when the program starts, and who refers to whom is noted."""

from collections.abc import Iterator

from sqlalchemy import Index, PrimaryKeyConstraint, Table, UniqueConstraint

from machine_monitor.database.fulltext import SEARCHED
from machine_monitor.database.kinds import LIST, OBJECT, TIME
from machine_monitor.query.calendar import UNITS
from machine_monitor.query.language.parser import PARAMETERS
from machine_monitor.query.language.summaries import DEFAULT_METRIC, FACET_PARAMETERS, STATS_PARAMETERS
from machine_monitor.query.metrics import Metric, Summary, SumMetric
from machine_monitor.query.schema import Field, Reference, Referrer, Resource, read_marks

# A filter is a parameter of its field's name; a group of stats has a member for each field and unit; `row_id` is bound
# beside the fields of a row.
RESERVED = PARAMETERS | FACET_PARAMETERS | STATS_PARAMETERS | frozenset(UNITS) | {"row_id"}
# Facets and stats give their values as they are stored: texts, and ranks by their names.
COUNTED_KINDS = frozenset({"text", "code", "choice", "rank"})


class BadDeclaration(TypeError):
    """A resource declares what the query engine cannot do; the message says what, and what to write."""


def declare(resource: Resource) -> Resource:
    """The resource, checked; the resources that it names know it from now on. Raises `BadDeclaration`."""
    if faults := _faults(resource):
        raise BadDeclaration(f"{resource.name}: {'; '.join(faults)}")
    if resource.searched:
        resource.table.metadata.info.setdefault(SEARCHED, set()).add(resource.table.name)
    for name, reference in resource.references.items():
        reference.resource.referrers.append(Referrer(resource, name, reference))
    return resource


def _faults(resource: Resource) -> list[str]:
    """What is wrong. The vocabulary can only be derived, and looked at, where the fields themselves are right."""
    return [*_field_faults(resource)] or [*_name_faults(resource), *_index_faults(resource)]


def _field_faults(resource: Resource) -> Iterator[str]:
    yield from _mark_faults(resource)
    for name, reference in resource.references.items():
        yield from _reference_faults(resource, name, reference)
    for name in resource.lists:
        yield from _list_faults(resource, name)
    for name, counted in resource.counts.items():
        if counted not in resource.lists:
            yield f"'{name}' counts '{counted}', which is no list"
        if name not in resource.table.c or name in resource.create.model_fields:
            yield f"'{name}' counts a list: it is a column that no body has"


def _mark_faults(resource: Resource) -> Iterator[str]:
    shown_by_others = {*resource.references, *resource.lists}
    for name, marks in resource.marks.items():
        if "__" in name:
            yield f"the name '{name}' holds '__', which begins an operator"
        if name in RESERVED:
            yield f"the name '{name}' has a meaning of its own in every list or in stats"
        if marks.kind is None:
            yield f"'{name}' has no kind"
        if marks.kind is OBJECT and name != "attributes":
            yield f"'{name}' is an object, which is called 'attributes' wherever there is one"
        if name not in shown_by_others and name not in resource.table.c:
            yield f"the table has no column for '{name}'"


def _reference_faults(resource: Resource, name: str, reference: Reference) -> Iterator[str]:
    theirs = reference.resource
    if reference.on not in resource.table.c or reference.to not in theirs.table.c:
        yield f"'{name}' refers by {reference.on} to {theirs.name}.{reference.to}: one of the columns is not there"
    elif not _is_unique(theirs.table, reference.to):
        yield f"'{name}' refers to {theirs.name}.{reference.to}, which is not unique"
    elif reference.to not in ("id", theirs.key):
        yield f"'{name}' refers to {theirs.name}.{reference.to}: refer to its id, or to a key that never changes"
    elif theirs.key not in theirs.table.c:
        yield f"'{name}' refers to {theirs.name}, whose key '{theirs.key}' is no column of its own"
    elif reference.is_natural and theirs.key in frozenset(theirs.create.model_fields) - theirs.immutable:
        yield f"'{name}' holds the key of {theirs.name}, which may change: refer to its id"
    elif reference.is_natural and reference.on != name:
        yield f"'{name}' shows what the column {reference.on} holds: give both one name"


def _list_faults(resource: Resource, name: str) -> Iterator[str]:
    rows = resource.lists[name]
    if rows.on not in rows.table.c or rows.position not in rows.table.c:
        yield f"the rows of '{name}' need the columns {rows.on} and {rows.position}"
        return
    if (rows.on, rows.position) not in _index_beginnings(rows.table, 2):
        yield f"there is no index of {rows.on}, {rows.position}, by which the rows of '{name}' are read"
    if resource.marks[name].nullable:
        yield f"'{name}' may be null: a record without rows has an empty list"
    if f"{name}_count" in resource.read.model_fields and f"{name}_count" not in resource.counts:
        yield f"'{name}_count' looks like a count of '{name}': mark it with CountOf"
    for item, info in rows.item.model_fields.items():
        marks = read_marks(info)
        if item not in rows.table.c:
            yield f"the rows of '{name}' have no column for '{item}'"
        if item in (rows.on, rows.position):
            yield f"'{name}.{item}' is written by the product: it follows from the record and the order"
        if marks.kind in (None, OBJECT, LIST) or marks.reference is not None:
            yield f"'{name}.{item}' is no plain value: a row of a list has no object, list or reference"


def _name_faults(resource: Resource) -> Iterator[str]:
    """What the declaration names must be in its vocabulary."""
    for name in resource.searched:
        known = resource.fields.get(name)
        if known is None or not _is_searchable(resource, known):
            yield f"'{name}' cannot be searched: only texts of the record itself, of its lists, and names that it gives"
    wanted = {resource.key, *([resource.author] if resource.author else [])}
    if missing := wanted - set(resource.own_fields):
        yield f"there is no field {', '.join(sorted(missing))}"
    if resource.sort.removeprefix("-") not in resource.sortable:
        yield f"a list cannot be sorted by '{resource.sort}'"
    for name in resource.facet_words:
        known = resource.own_fields.get(name)
        if known is None or known.nullable or known.kind.name not in COUNTED_KINDS:
            yield f"the search index has no word for '{name}': only for texts of the record itself that are never null"
    if resource.summary is not None:
        yield from _summary_faults(resource, resource.summary)


def _summary_faults(resource: Resource, summary: Summary) -> Iterator[str]:
    for name in summary.fields:
        known = resource.shown_fields.get(name)
        if known is None or known.kind.name not in COUNTED_KINDS:
            yield f"'{name}' cannot be counted by: a record has it not exactly once, or it is no text"
    if not _is_instant(resource, summary.at) or resource.own_fields[summary.at].nullable:
        yield f"'{summary.at}' does not place a record in time: that is a time of its own that is never null"
    if DEFAULT_METRIC not in summary.metrics:
        yield f"there is no metric '{DEFAULT_METRIC}', which stats measure if they are not told what"
    for metric in summary.metrics.values():
        yield from _metric_faults(resource, metric)
    for name in summary.counters.units if summary.counters else ():
        known = resource.own_fields.get(name)
        if known is None or known.kind.name not in COUNTED_KINDS:
            yield f"counters are kept by fields of the record itself that are texts, not by '{name}'"


def _metric_faults(resource: Resource, metric: Metric) -> Iterator[str]:
    assert resource.summary is not None
    if metric.name in (*UNITS, "total", *resource.summary.fields):
        yield f"the metric '{metric.name}' has the name of what stats give beside it"
    if isinstance(metric, SumMetric):
        for name in metric.reads:
            if name not in resource.shown_fields:
                yield f"'{metric.name}' reads '{name}', which a record has not exactly once"
        return
    for name in (metric.start, metric.end):
        if not _is_instant(resource, name):
            yield f"'{metric.name}' lasts from or to '{name}', which is no time of the record itself"
    if metric.subject not in resource.table.c:
        yield f"'{metric.name}' is measured for each '{metric.subject}', which is no column of the table"


def _index_faults(resource: Resource) -> Iterator[str]:
    table = resource.table
    for name in resource.tiebreakers:
        if name not in table.c:
            yield f"the tiebreaker '{name}' is no column of the table"
            return
    if not _is_unique(table, resource.tiebreakers[-1]):
        yield f"the last tiebreaker, '{resource.tiebreakers[-1]}', is not unique: an order would not be total"
    if resource.index_prefixes and () not in resource.index_prefixes:
        yield "where there are index prefixes, one of them is empty: lists without filters are read by its index"
    indexed = {index.name: [column.name for column in index.columns] for index in table.indexes}
    for prefix in resource.index_prefixes:
        if indexed.get(resource.index_name(prefix)) != [*prefix, *resource.tiebreakers]:
            yield f"there is no index {resource.index_name(prefix)} of {', '.join((*prefix, *resource.tiebreakers))}"


def _is_instant(resource: Resource, name: str) -> bool:
    known = resource.own_fields.get(name)
    return known is not None and known.kind is TIME and not known.joins


def _is_searchable(resource: Resource, known: Field) -> bool:
    is_text = known.kind.name in ("text", "code", "choice")
    return is_text and (known.name in resource.own_fields or (known.is_of_item and not known.joins))


def _is_unique(table: Table, name: str) -> bool:
    return any([*columns] == [name] for columns in _keys(table, unique=True))


def _index_beginnings(table: Table, length: int) -> set[tuple[str, ...]]:
    return {columns[:length] for columns in _keys(table)}


def _keys(table: Table, *, unique: bool = False) -> Iterator[tuple[str, ...]]:
    """The columns of each index of the table, those of its keys among them."""
    for constraint in (*table.constraints, *table.indexes):
        is_key = isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint)
        if is_key or (isinstance(constraint, Index) and (constraint.unique or not unique)):
            yield tuple(column.name for column in constraint.columns)
