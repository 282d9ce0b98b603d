"""Resource declarations, and the fields derived from them: every name that a request can filter, sort and select by.

The read schema is the only source. Each of its fields has a type (a `Kind` in its annotation), and may reference a
record of another resource (`Reference`) or list the rows of a child table (`ChildRows`). `Resource.fields` follows the
references to any depth: `machine`, `machine.sector`, `machine.site.name`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from functools import cached_property
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from sqlalchemy import Column, ColumnElement, FromClause, Table, func, select
from sqlmodel import SQLModel

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER, LIST, OBJECT, TEXT, TIME, Kind
from machine_monitor.errors import InUse, Problem
from machine_monitor.query.language import attributes
from machine_monitor.query.language.operators import CONTAINS, EQUAL, OPERATORS, Operator
from machine_monitor.query.metrics import Summary


@dataclass(frozen=True, eq=False)
class Reference:
    """Marks a read field as a reference (foreign key): column `on` of this table holds column `to` of `resource`.

    A referenced record cannot be deleted; `in_use` is the problem raised then. With `in_use=None` the reference does
    not block: the code that deletes the record also deletes the referring rows.
    """

    resource: "Resource"
    on: str
    to: str
    in_use: type[Problem] | None = InUse

    @property
    def is_natural(self) -> bool:
        """Whether the column stores the key that the API shows (a natural key), so that reading it needs no join."""
        return self.resource.key == self.to


@dataclass(frozen=True, eq=False)
class ChildRows:
    """Marks a read field as a list of child rows of `table`, ordered by `position`; column `on` holds the parent's id.

    `item` is the read schema of a row. Its texts support `contains` if the table has a `<name>_folded` column.
    """

    table: Table
    item: type[SQLModel]
    on: str
    position: str = "position"


@dataclass(frozen=True)
class CountOf:
    """Marks a read-only field: its column stores the number of child rows in the list of this name."""

    name: str


class Selection(NamedTuple):
    """The parts of a record to return: its fields, and the related records named by `expand`."""

    fields: tuple[str, ...]
    expand: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Join:
    """One join of a path: from `source` to the referenced table, aliased as `target`."""

    reference: Reference
    source: FromClause
    target: FromClause
    is_outer: bool

    @property
    def condition(self) -> ColumnElement:
        """The ON clause."""
        return self.source.c[self.reference.on] == self.target.c[self.reference.to]


@dataclass(frozen=True, eq=False)
class Field:
    """A field that requests can name, such as `machine.sector`.

    `joins` lead from the resource's table to the row that `column` belongs to. `own` is the same field as declared by
    the last resource of that path. `rows` is the child list that the field shows or, if `is_of_child_row`, belongs to.
    A filter on a field with `any_of` matches if any of those fields matches.
    """

    name: str
    kind: Kind
    nullable: bool
    column: ColumnElement | None
    joins: tuple[Join, ...] = ()
    folded: ColumnElement | None = None
    description: str = ""
    own: "Field | None" = None
    rows: ChildRows | None = None
    any_of: tuple["Field", ...] = ()

    @property
    def declared(self) -> "Field":
        """The same field as a field of the resource that declares it, without joins."""
        return self.own or self

    @property
    def is_of_child_row(self) -> bool:
        """Whether the field belongs to child rows.

        A record can have several values of it, so it can be filtered by but not sorted by or selected.
        """
        return self.rows is not None and self.kind is not LIST

    @property
    def parameter(self) -> str:
        """The name of its equality filter; in the filters of attributes `<key>` stands for any key."""
        return f"{self.name}.{attributes.ANY_KEY}" if self.kind is OBJECT else self.name


class FieldAnnotations(NamedTuple):
    """The annotations of a read field; `max_length` is None if it is no text, or one without a limit."""

    kind: Kind
    nullable: bool
    description: str
    max_length: int | None
    reference: Reference | None
    rows: ChildRows | None
    count: CountOf | None


class Referrer(NamedTuple):
    """A reference seen from its target: the referring resource and field."""

    resource: "Resource"
    name: str
    reference: Reference


@dataclass(frozen=True, eq=False)
class Resource:
    """The declaration of a resource: its table, its schemas, and how its lists are searched and sorted.

    - `key`: the read field in the record's path.
    - `lookup_column`: the column that is looked up with `lookup_key_of(path segment)`.
    - `unique_column`, `unique_key_of`: the same for the check that a key is free.
    - `new_key_fault`: what is wrong with a key that is about to be given to a record, if anything.
    - `immutable`: fields that are set at creation only.
    - `preserved_on_put`: fields that keep their value if a PUT leaves them out.
    - `author`: the field that names the record's author.
    - `sort`: the default sort order; `tiebreakers` are appended to every order, to make it total.
    - `index_prefixes`: for each there is an index of these columns and the tiebreakers.
    - `searched`: the fields whose words are in the search index.
    - `facet_token_fields`: the fields whose whole value is one token of the search index, so that it can apply filters.
    - `computed`: members that `expand` can add beside related records.
    - `scope`: columns whose values each list is restricted to, such as the record of a history.
    - `soft_delete`: lists show undeleted records only, or only deleted ones if `deleted`.
    - `warning`: a sentence about a record that is valid but probably wrong, from its values; in ASCII.
    """

    name: str
    noun: str
    table: Table
    read: type[SQLModel]
    key: str
    sort: str
    tiebreakers: tuple[str, ...]
    create: type[SQLModel]
    folded: Table | None = None
    searched: tuple[str, ...] = ()
    facet_token_fields: tuple[str, ...] = ()
    index_prefixes: tuple[tuple[str, ...], ...] = ()
    lookup_column: str = ""
    lookup_key_of: Callable[[str], str] = str
    unique_column: str = ""
    unique_key_of: Callable[[str], str] = str
    new_key_fault: Callable[[str], str | None] = lambda _: None
    immutable: frozenset[str] = frozenset()
    preserved_on_put: frozenset[str] = frozenset()
    author: str | None = None
    soft_delete: bool = False
    deleted: bool = False
    scope: tuple[str, ...] = ()
    summary: Summary | None = None
    warning: Callable[[Mapping[str, Any]], str | None] | None = None
    computed: Mapping[str, Callable[[Engine], Mapping[str, ColumnElement]]] = dataclass_field(default_factory=dict)
    referrers: list[Referrer] = dataclass_field(default_factory=list)

    @cached_property
    def annotations(self) -> dict[str, FieldAnnotations]:
        """The annotations of each field of the read schema."""
        return {name: field_annotations(info) for name, info in self.read.model_fields.items()}

    @cached_property
    def references(self) -> dict[str, Reference]:
        """The fields that reference another resource."""
        return {name: found.reference for name, found in self.annotations.items() if found.reference is not None}

    @cached_property
    def child_lists(self) -> dict[str, ChildRows]:
        """The fields that list child rows."""
        return {name: found.rows for name, found in self.annotations.items() if found.rows is not None}

    @cached_property
    def child_counts(self) -> dict[str, str]:
        """Map of each count field to the list of child rows that it counts."""
        return {name: found.count.name for name, found in self.annotations.items() if found.count is not None}

    @cached_property
    def managed_lists(self) -> tuple[str, ...]:
        """The lists of child rows that have operations of their own: clients do not write them in the record's body."""
        return tuple(name for name in self.child_lists if name not in self.create.model_fields)

    @cached_property
    def recorded(self) -> tuple[str, ...]:
        """The fields whose values the history has: those that clients write, the managed lists and their counts."""
        counts = (name for name, counted in self.child_counts.items() if counted in self.managed_lists)
        return (*self.create.model_fields, *self.managed_lists, *counts)

    @cached_property
    def read_only(self) -> frozenset[str]:
        """The fields that clients cannot write."""
        return frozenset(self.read.model_fields) - frozenset(self.create.model_fields)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that hold its records: its own, that of the folded texts, and those of its child rows."""
        folded_table = () if self.folded is None else (self.folded,)
        return (self.table, *folded_table, *(rows.table for rows in self.child_lists.values()))

    @property
    def expandable(self) -> tuple[str, ...]:
        """The names that `expand` accepts: references and computed members."""
        return (*self.references, *self.computed)

    @cached_property
    def fields(self) -> dict[str, Field]:
        """All fields by name: own ones, then those of related records (`machine.sector`) and of child rows."""
        return {field.name: field for field in _fields(self, (), "")}

    @cached_property
    def own_fields(self) -> dict[str, Field]:
        """The resource's own fields, in the schema's order."""
        return {name: self.fields[name] for name in self.read.model_fields}

    @cached_property
    def single_valued_fields(self) -> dict[str, Field]:
        """The fields with one value per record, which can be columns of an export."""
        return {name: field for name, field in self.fields.items() if not field.is_of_child_row}

    def expanded_fields(self, name: str) -> list[Field]:
        """Return the fields of the related record that `expand` adds under this name."""
        return [self.fields[f"{name}.{member}"] for member in self.references[name].resource.read.model_fields]

    @cached_property
    def search_follows_time(self) -> bool:
        """Whether the search index of this resource can be ordered by time: its first tiebreaker is a timestamp."""
        return self.table.c[self.tiebreakers[0]].type is TIME.column_type

    def is_order_of_tiebreakers(self, order: Sequence[tuple[str, bool]]) -> bool:
        """Whether the sort order is exactly the tiebreakers, ascending or descending."""
        return [name for name, _ in order] == [*self.tiebreakers] and len({descending for _, descending in order}) == 1

    @cached_property
    def sort_key_fields(self) -> dict[str, Field]:
        """Fields that can appear in ORDER BY: every field, plus the last tiebreaker if the API does not show it."""
        last = self.tiebreakers[-1]
        return {last: Field("id", INTEGER, nullable=False, column=self.table.c[last]), **self.fields}

    @cached_property
    def filters(self) -> dict[str, tuple[Field, Operator]]:
        """All filters by parameter name; `<key>` in a name stands for any attribute key."""
        any_of, description = tuple(self.fields[name] for name in self.searched), ", ".join(self.searched)
        searched = Field("q", TEXT, nullable=False, column=None, description=f"Any of {description}.", any_of=any_of)
        return ({"q__contains": (searched, CONTAINS)} if any_of else {}) | {
            field.parameter + (f"__{operator.name}" if operator.name else ""): (field, operator)
            for field in self.fields.values()
            for operator in OPERATORS.values()
            if operator.applies_to(field.kind, folded=field.folded is not None)
        }

    @cached_property
    def sortable(self) -> tuple[str, ...]:
        """The fields that a list can be sorted by: those with one comparable value per record."""
        return tuple(
            field.name
            for field, operator in self.filters.values()
            if operator is EQUAL and field.kind is not OBJECT and not field.is_of_child_row
        )

    def index_name(self, prefix: Sequence[str]) -> str:
        """Return the name of the index of these columns and the tiebreakers."""
        return "_".join(["ix", self.table.name, *prefix, *self.tiebreakers])

    def find_filter(self, name: str) -> tuple[Field, Operator, str | None] | None:
        """Resolve a parameter name to its field, operator and attribute key (None if it is no attribute).

        Returns None if there is no such filter.
        """
        found = self.filters.get(name)
        if found is not None and found[0].kind is not OBJECT:
            return (*found, None)
        any_key, key = attributes.split_parameter(name)
        return (*self.filters[any_key], key) if any_key in self.filters and attributes.is_valid_key(key) else None

    def joined_table(self, fields: Iterable[Field], *, outer: bool = False) -> FromClause:
        """Return the table with the joins that these fields need."""
        source: FromClause = self.table
        for join in dict.fromkeys(join for field in fields for join in field.joins):
            source = source.join(join.target, join.condition, isouter=outer or join.is_outer)
        return source

    def column_field(self, name: str, shown_as: str, path: tuple[Join, ...]) -> Field:
        """Build the field for a column of this table, read through the joins of `path`."""
        annotations, rows = self.annotations[name], path[-1].target if path else self.table
        own = self.column_field(name, name, ()) if path else None
        # A primary key is not null in the table, even where a response may have null in its place.
        nullable = (annotations.nullable and not rows.c[name].primary_key) or any(join.is_outer for join in path)
        folded = _folded_column(self.table, self.folded, rows, name, annotations.kind)
        return Field(shown_as, annotations.kind, nullable, rows.c[name], path, folded, annotations.description, own)

    def own_column(self, field: Field) -> Column:
        """Return the column of this table that a field starts from: its own, or the foreign key of its first join."""
        if field.joins:
            return self.table.c[field.joins[0].reference.on]
        assert field.column is not None
        return self.table.c[field.column.name]


def _fields(resource: Resource, path: tuple[Join, ...], prefix: str) -> Iterator[Field]:
    """Yield the fields of the records that `path` leads to: own ones, related ones, then those of child rows."""
    steps = {name: (*path, _join(resource, reference, path)) for name, reference in resource.references.items()}
    for name, annotations in resource.annotations.items():
        if annotations.rows is not None:
            nullable = any(join.is_outer for join in path)
            yield Field(prefix + name, LIST, nullable, None, path, None, annotations.description, rows=annotations.rows)
        elif annotations.reference is None or annotations.reference.is_natural:
            yield resource.column_field(name, prefix + name, path)
        else:
            referenced = annotations.reference.resource
            found = referenced.column_field(referenced.key, prefix + name, steps[name])
            yield replace(found, description=annotations.description)
    for name, longer in steps.items():
        yield from _fields(longer[-1].reference.resource, longer, f"{prefix}{name}.")
    for name, rows in resource.child_lists.items():
        yield from _child_row_fields(rows, path, f"{prefix}{name}.")


def _join(resource: Resource, reference: Reference, path: tuple[Join, ...]) -> Join:
    source = path[-1].target if path else resource.table
    is_outer = bool(resource.table.c[reference.on].nullable) or any(join.is_outer for join in path)
    return Join(reference, source, reference.resource.table.alias(), is_outer)


def _child_row_fields(rows: ChildRows, path: tuple[Join, ...], prefix: str) -> Iterator[Field]:
    """Yield the fields of child rows; only filters can use them."""
    for name, info in rows.item.model_fields.items():
        annotations = field_annotations(info)
        folded = _folded_column(rows.table, None, rows.table, name, annotations.kind)
        column, nullable = rows.table.c[name], True
        yield Field(prefix + name, annotations.kind, nullable, column, path, folded, annotations.description, rows=rows)


def _folded_column(
    table: Table, folded_table: Table | None, rows: FromClause, name: str, kind: Kind
) -> ColumnElement | None:
    """Return what `contains`, `startswith` and `endswith` compare: folded text; for an object, its representations."""
    if kind.name in ("code", "choice"):
        return func.lower(rows.c[name])
    if f"{name}_folded" in table.c:
        return rows.c[f"{name}_folded"]
    if folded_table is None or name not in folded_table.c:
        return None
    return select(folded_table.c[name]).where(folded_table.c.id == rows.c.id).correlate(rows).scalar_subquery()


def field_annotations(info: Any) -> FieldAnnotations:
    """Read the annotations of a schema field."""
    found = [*info.metadata, *_metadata(info.annotation)]

    def first(kind: type) -> Any:
        return next((mark for mark in found if isinstance(mark, kind)), None)

    rows = first(ChildRows)
    nullable = type(None) in get_args(info.annotation)
    kind = LIST if rows else first(Kind)
    length = min((mark.max_length for mark in found if getattr(mark, "max_length", None) is not None), default=None)
    return FieldAnnotations(kind, nullable, info.description or "", length, first(Reference), rows, first(CountOf))


def _metadata(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        inner, *annotations = get_args(annotation)
        return [*annotations, *_metadata(inner)]
    return [mark for part in get_args(annotation) for mark in _metadata(part)]
