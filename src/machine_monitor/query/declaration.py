"""Declaring a resource: what it cannot be is refused when the program starts, and who refers to whom is noted."""

from collections.abc import Iterator

from sqlalchemy import Index, PrimaryKeyConstraint, Table, UniqueConstraint

from machine_monitor.database.fulltext import SEARCHED
from machine_monitor.database.kinds import LIST, OBJECT
from machine_monitor.query.schema import Field, Reference, Referrer, Resource, read_marks


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
    for name in resource.read.model_fields:
        if "__" in name:
            yield f"the name '{name}' holds '__', which begins an operator"
    for name, reference in resource.references.items():
        yield from _reference_faults(resource, name, reference)
    for name in resource.lists:
        yield from _list_faults(resource, name)
    for name, counted in resource.counts.items():
        if counted not in resource.lists:
            yield f"'{name}' counts '{counted}', which is no list"
        if name not in resource.table.c or name in resource.create.model_fields:
            yield f"'{name}' counts a list: it is a column that no body has"
    shown_by_others = {*resource.references, *resource.lists}
    for name in resource.read.model_fields:
        if name not in shown_by_others and name not in resource.table.c:
            yield f"the table has no column for '{name}'"


def _reference_faults(resource: Resource, name: str, reference: Reference) -> Iterator[str]:
    theirs = reference.resource
    if reference.on not in resource.table.c or reference.to not in theirs.table.c:
        yield f"'{name}' refers by {reference.on} to {theirs.name}.{reference.to}: one of the columns is not there"
    elif not _is_unique(theirs.table, reference.to):
        yield f"'{name}' refers to {theirs.name}.{reference.to}, which is not unique"
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
    if f"{name}_count" in resource.read.model_fields and f"{name}_count" not in resource.counts:
        yield f"'{name}_count' looks like a count of '{name}': mark it with CountOf"
    for item, info in rows.item.model_fields.items():
        marks = read_marks(info)
        if item not in rows.table.c:
            yield f"the rows of '{name}' have no column for '{item}'"
        if marks.kind in (OBJECT, LIST) or marks.reference is not None:
            yield f"'{name}.{item}' is an object, a list or a reference: a row of a list has plain values"


def _name_faults(resource: Resource) -> Iterator[str]:
    """What the declaration names must be in its vocabulary."""
    for name in resource.searched:
        known = resource.fields.get(name)
        if known is None or not _is_searchable(resource, known):
            yield f"'{name}' cannot be searched: only texts of the record itself, of its lists, and names that it gives"
    wanted = {resource.key, *resource.facet_words, *([resource.author] if resource.author else [])}
    if missing := wanted - set(resource.own_fields):
        yield f"there is no field {', '.join(sorted(missing))}"
    if resource.summary is not None:
        for name in resource.summary.fields:
            if resource.fields.get(name) is None or resource.fields[name].is_of_item:
                yield f"'{name}' cannot be counted by: a record has it not exactly once"
        for name in resource.summary.counters.units if resource.summary.counters else ():
            if name not in resource.own_fields:
                yield f"counters are kept by fields of the record itself, not by '{name}'"


def _index_faults(resource: Resource) -> Iterator[str]:
    table = resource.table
    for name in resource.tiebreakers:
        if name not in table.c:
            yield f"the tiebreaker '{name}' is no column of the table"
            return
    if not _is_unique(table, resource.tiebreakers[-1]):
        yield f"the last tiebreaker, '{resource.tiebreakers[-1]}', is not unique: an order would not be total"
    indexed = {tuple(column.name for column in index.columns) for index in table.indexes}
    for prefix in resource.index_prefixes:
        if (*prefix, *resource.tiebreakers) not in indexed | {(*index, "id") for index in indexed}:
            yield f"there is no index of {', '.join((*prefix, *resource.tiebreakers))}"


def _is_searchable(resource: Resource, known: Field) -> bool:
    is_text = known.kind.name in ("text", "code", "choice")
    return is_text and (known.name in resource.own_fields or (known.is_of_item and not known.joins))


def _is_unique(table: Table, name: str) -> bool:
    constraints = [*table.constraints, *(index for index in table.indexes if isinstance(index, Index) and index.unique)]
    return any(
        [column.name for column in constraint.columns] == [name]
        for constraint in constraints
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint | Index)
    )
