"""Validate a resource declaration at start-up, and register its references with the resources that they point to."""

from collections.abc import Iterator

from sqlalchemy import Index, PrimaryKeyConstraint, Table, UniqueConstraint

from machine_monitor.database.fulltext import SEARCHED
from machine_monitor.database.kinds import LIST, OBJECT, TIME
from machine_monitor.query.calendar import UNITS
from machine_monitor.query.grouping import groupable_fields
from machine_monitor.query.language.parser import PARAMETERS
from machine_monitor.query.language.summaries import DEFAULT_METRIC, FACET_PARAMETERS, STATS_PARAMETERS
from machine_monitor.query.metrics import Counters, IntervalMetric, Metric, Summary, SumMetric
from machine_monitor.query.schema import Field, Reference, Referrer, Resource, field_annotations

# Names that no field may have: a filter is a parameter with its field's name, a group of stats has a member for each
# field and calendar unit, and statements that write a row bind `row_id` beside its fields.
RESERVED = PARAMETERS | FACET_PARAMETERS | STATS_PARAMETERS | frozenset(UNITS) | {"row_id"}
# The kinds that facets and stats can group by: texts, and ranks, which are returned by their names.
COUNTED_KINDS = frozenset({"text", "code", "choice", "rank"})


class BadDeclaration(TypeError):
    """A resource declaration is invalid. The message names each fault and how to correct it."""


def declare(resource: Resource) -> Resource:
    """Validate a resource and register it as a referrer of the resources it references; return it.

    Raises `BadDeclaration`.
    """
    if faults := _faults(resource):
        raise BadDeclaration(f"{resource.name}: {'; '.join(faults)}")
    if resource.searched:
        resource.table.metadata.info.setdefault(SEARCHED, set()).add(resource.table.name)
    for name, reference in resource.references.items():
        reference.resource.referrers.append(Referrer(resource, name, reference))
    return resource


def _faults(resource: Resource) -> list[str]:
    """Return all faults. The names of filters can only be derived, and checked, if the fields themselves are valid."""
    return [*_field_faults(resource)] or [*_name_faults(resource), *_index_faults(resource)]


def _field_faults(resource: Resource) -> Iterator[str]:
    yield from _annotation_faults(resource)
    for name, reference in resource.references.items():
        yield from _reference_faults(resource, name, reference)
    for name in resource.child_lists:
        yield from _list_faults(resource, name)
    for name, counted in resource.child_counts.items():
        if counted not in resource.child_lists:
            yield f"'{name}' is marked CountOf('{counted}'), but '{counted}' is not a list of child rows"
        if name not in resource.table.c or name in resource.create.model_fields:
            yield f"'{name}' counts child rows: it needs a column in the table and must not be in the create schema"


def _annotation_faults(resource: Resource) -> Iterator[str]:
    shown_by_others = {*resource.references, *resource.child_lists}
    for name, annotations in resource.annotations.items():
        if "__" in name:
            yield f"the field name '{name}' contains '__', which separates a field from its operator"
        if name in RESERVED:
            yield f"the field name '{name}' is reserved: lists, facets or stats use it"
        if annotations.kind is None:
            yield f"'{name}' has no kind"
        if annotations.kind is OBJECT and name != "attributes":
            yield f"'{name}' is an object: name it 'attributes', the only name that an object can have"
        if name not in shown_by_others and name not in resource.table.c:
            yield f"the table has no column for '{name}'"


def _reference_faults(resource: Resource, name: str, reference: Reference) -> Iterator[str]:
    target = reference.resource
    if reference.on not in resource.table.c or reference.to not in target.table.c:
        columns = f"{target.name}.{reference.to} from column {reference.on}"
        yield f"'{name}' references {columns}: one of these columns does not exist"
    elif not _is_unique(target.table, reference.to):
        yield f"'{name}' references {target.name}.{reference.to}, which is not unique"
    elif reference.to not in ("id", target.key):
        yield f"'{name}' references {target.name}.{reference.to}: reference its id, or a key that never changes"
    elif target.key not in target.table.c:
        yield f"'{name}' references {target.name}, whose key '{target.key}' is not a column of its table"
    elif reference.is_natural and target.key in frozenset(target.create.model_fields) - target.immutable:
        yield f"'{name}' stores the key of {target.name}, which can change: reference its id instead"
    elif reference.is_natural and reference.on != name:
        yield f"'{name}' shows the column {reference.on} as it is: give the field and the column the same name"


def _list_faults(resource: Resource, name: str) -> Iterator[str]:
    rows = resource.child_lists[name]
    if rows.on not in rows.table.c or rows.position not in rows.table.c:
        yield f"the rows of '{name}' need the columns {rows.on} and {rows.position}"
        return
    if (rows.on, rows.position) not in _index_beginnings(rows.table, 2):
        yield f"there is no index of {rows.on}, {rows.position}, which is needed to read the rows of '{name}'"
    if resource.annotations[name].nullable:
        yield f"'{name}' may be null: a record without rows has an empty list"
    if f"{name}_count" in resource.read.model_fields and f"{name}_count" not in resource.child_counts:
        yield f"'{name}_count' looks like a count of '{name}': mark it with CountOf"
    for item, info in rows.item.model_fields.items():
        annotations = field_annotations(info)
        if item not in rows.table.c:
            yield f"the rows of '{name}' have no column for '{item}'"
        if item in (rows.on, rows.position):
            yield f"'{name}.{item}' is written by the product, from the record and the order of the rows: remove it"
        if annotations.kind is None:
            yield f"'{name}.{item}' has no kind"
        if annotations.kind in (OBJECT, LIST) or annotations.reference is not None:
            yield f"'{name}.{item}' is an object, a list or a reference: child rows can only have scalar values"


def _name_faults(resource: Resource) -> Iterator[str]:
    """Yield a fault for each name in the declaration that is not a suitable field."""
    for name in resource.searched:
        field = resource.fields.get(name)
        if field is None or not _is_searchable(resource, field):
            searchable = "its own texts and attributes, texts of child rows, and keys of references"
            yield f"'{name}' cannot be searched: only {searchable} can"
    required = {resource.key, *([resource.author] if resource.author else [])}
    if missing := required - set(resource.own_fields):
        yield f"there is no field {', '.join(sorted(missing))}"
    if resource.sort.removeprefix("-") not in resource.sortable:
        yield f"a list cannot be sorted by '{resource.sort}'"
    for name in resource.facet_token_fields:
        field = resource.own_fields.get(name)
        if field is None or field.nullable or field.kind.name not in COUNTED_KINDS:
            yield f"'{name}' cannot have a facet token: it must be a text of this resource that is never null"
    if resource.summary is not None:
        yield from _summary_faults(resource, resource.summary)


def _summary_faults(resource: Resource, summary: Summary) -> Iterator[str]:
    if not _is_instant(resource, summary.at) or resource.own_fields[summary.at].nullable:
        yield f"'{summary.at}' cannot place a record in time: it must be a time of this resource that is never null"
    if DEFAULT_METRIC not in summary.metrics:
        yield f"there is no metric '{DEFAULT_METRIC}', the default of stats"
    for metric in summary.metrics.values():
        yield from _metric_faults(resource, metric)
    if summary.counters:
        yield from _counter_faults(resource, summary.counters)


def _counter_faults(resource: Resource, counters: Counters) -> Iterator[str]:
    for name in counters.units:
        field = resource.own_fields.get(name)
        if field is None or field.kind.name not in COUNTED_KINDS:
            yield f"'{name}' cannot have counters: it must be a text of this resource"
    for name, partial in counters.partial.items():
        if name in counters.units or partial.field not in counters.units:
            yield f"the counters '{name}' need a name of their own, and a field that has counters"
        for read in partial.reads:
            if read not in resource.own_fields or resource.own_fields[read].joins:
                yield f"the counters '{name}' read '{read}', which is not a column of this resource"


def _metric_faults(resource: Resource, metric: Metric) -> Iterator[str]:
    assert resource.summary is not None
    if metric.name in (*UNITS, "total", *groupable_fields(resource)):
        yield f"the metric '{metric.name}' has the name of another member of a stats group"
    for name in metric.reads if isinstance(metric, SumMetric) else metric.condition.reads:
        if name not in resource.single_valued_fields:
            yield f"'{metric.name}' reads '{name}', of which a record can have several values"
        elif not isinstance(metric, SumMetric) and name not in resource.own_fields:
            yield f"the condition of '{metric.name}' reads '{name}', which is not a field of this resource"
    if isinstance(metric, SumMetric):
        return
    for name in (metric.start, metric.end):
        if not _is_instant(resource, name):
            yield f"'{metric.name}' lasts from or to '{name}', which must be a time of this resource"
    if isinstance(metric, IntervalMetric) and metric.subject not in resource.table.c:
        yield f"'{metric.name}' is measured for each '{metric.subject}', which is not a column of the table"


def _index_faults(resource: Resource) -> Iterator[str]:
    table = resource.table
    for name in resource.tiebreakers:
        if name not in table.c:
            yield f"the tiebreaker '{name}' is not a column of the table"
            return
    if not _is_unique(table, resource.tiebreakers[-1]):
        yield f"the last tiebreaker, '{resource.tiebreakers[-1]}', is not unique, so the sort order would not be total"
    if resource.index_prefixes and () not in resource.index_prefixes:
        yield "the index prefixes must include the empty one: lists without filters are read through its index"
    indexed = {index.name: [column.name for column in index.columns] for index in table.indexes}
    for prefix in resource.index_prefixes:
        if indexed.get(resource.index_name(prefix)) != [*prefix, *resource.tiebreakers]:
            yield f"there is no index {resource.index_name(prefix)} of {', '.join((*prefix, *resource.tiebreakers))}"


def _is_instant(resource: Resource, name: str) -> bool:
    field = resource.own_fields.get(name)
    return field is not None and field.kind is TIME and not field.joins


def _is_searchable(resource: Resource, field: Field) -> bool:
    if field.name in resource.own_fields:
        return field.kind.name in ("text", "code", "choice", "object")
    return field.kind.name in ("text", "code", "choice") and field.is_of_child_row and not field.joins


def _is_unique(table: Table, name: str) -> bool:
    return any([*columns] == [name] for columns in _keys(table, unique=True))


def _index_beginnings(table: Table, length: int) -> set[tuple[str, ...]]:
    return {columns[:length] for columns in _keys(table)}


def _keys(table: Table, *, unique: bool = False) -> Iterator[tuple[str, ...]]:
    """Yield the columns of each key and index of the table; only of the unique ones if `unique`."""
    for constraint in (*table.constraints, *table.indexes):
        is_key = isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint)
        if is_key or (isinstance(constraint, Index) and (constraint.unique or not unique)):
            yield tuple(column.name for column in constraint.columns)
