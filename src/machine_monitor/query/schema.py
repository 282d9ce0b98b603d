"""A resource as it is declared, and the vocabulary that follows: what requests may filter, sort and show, by one name.

The read schema says everything. Each of its fields has a kind (`Kind` in its annotation) and may name a record of
another resource (`Reference`) or list rows of a child table (`ChildRows`). `Resource.fields` follows the references to
any depth: `machine`, `machine.sector`, `machine.site.name`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from sqlalchemy import Column, ColumnElement, ForeignKey, FromClause, Table, func, select
from sqlmodel import SQLModel

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER, LIST, OBJECT, TEXT, TIME, Kind
from machine_monitor.errors import InUse, Problem
from machine_monitor.query.language import attributes
from machine_monitor.query.language.operators import EQUAL, OPERATORS, Operator
from machine_monitor.query.metrics import Summary


@dataclass(frozen=True, eq=False)
class Reference:
    """Marks a read field that names a record of `resource`: our column `on` holds their column `to`.

    A record that others name cannot be deleted: `in_use` is the problem that says so. None: the row does not hinder,
    whoever deletes the record deletes the row.
    """

    resource: "Resource"
    on: str
    to: str
    in_use: type[Problem] | None = InUse

    @property
    def is_natural(self) -> bool:
        """Whether our column holds the very key that the API shows, so that showing it needs no join."""
        return self.resource.key == self.to


@dataclass(frozen=True, eq=False)
class ChildRows:
    """Marks a read field that lists rows of `table` in the order of `position`: their column `on` holds our id.

    `item` is the read schema of one row. A text of it is compared by `contains` if the table has a column of its name
    with `_folded` behind.
    """

    table: Table
    item: type[SQLModel]
    on: str
    position: str = "position"


@dataclass(frozen=True)
class CountOf:
    """Marks a read-only field whose column holds how many rows the list of this name has."""

    name: str


class Selection(NamedTuple):
    """What is shown of a record: fields, and what `expand` adds to them."""

    fields: tuple[str, ...]
    expand: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Join:
    """One step of a path: from the rows of `source` to the record that each of them names, as rows of `target`."""

    reference: Reference
    source: FromClause
    target: FromClause
    is_outer: bool

    @property
    def condition(self) -> ColumnElement:
        """Which record a row names."""
        return self.source.c[self.reference.on] == self.target.c[self.reference.to]


@dataclass(frozen=True, eq=False)
class Field:
    """One name of the vocabulary.

    `joins` lead from the resource's own table to the row that `column` belongs to; `own` is the same field as the
    resource at their end declares it. `rows` is the list that the field shows or, where `is_of_item`, that it is in.
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

    @property
    def declared(self) -> "Field":
        """The field as it stands in the tables of the resource that declares it."""
        return self.own or self

    @property
    def is_of_item(self) -> bool:
        """Whether it belongs to the rows of a list: a record has it any number of times, and only filters take it."""
        return self.rows is not None and self.kind is not LIST

    @property
    def parameter(self) -> str:
        """The name of the filter that is its equality; `<key>` stands for any key of its attributes."""
        return f"{self.name}.{attributes.ANY_KEY}" if self.kind is OBJECT else self.name


class Marks(NamedTuple):
    """What the annotation of a read field says of it."""

    kind: Kind
    nullable: bool
    description: str
    reference: Reference | None
    rows: ChildRows | None
    count: CountOf | None


class Referrer(NamedTuple):
    """A field of a resource that names records of another."""

    resource: "Resource"
    name: str
    reference: Reference


@dataclass(frozen=True, eq=False)
class Resource:
    """One resource, declared once: its table, its schemas, and how its lists are searched and ordered.

    `key` is the read field in the record's path, `find_by` the column that finds it after `lookup_key_of`;
    `unique_by` and `unique_key_of` say what must be unique. A PUT that leaves out a field of `preserved_on_put` keeps
    its value; `immutable` fields are set at creation only; `author` is the field that names who wrote the record.

    `tiebreakers` make every order total. The search index follows time where the first of them is one, and has a word
    for each value of `facet_words`. For each of `index_prefixes` there is an index of these columns and the
    tiebreakers. `computed` are the members that `expand` may add beside related records. Lists show the records that
    are not deleted, or only those that are (`deleted`).
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
    facet_words: tuple[str, ...] = ()
    index_prefixes: tuple[tuple[str, ...], ...] = ()
    find_by: str = ""
    lookup_key_of: Callable[[str], str] = str
    unique_by: str = ""
    unique_key_of: Callable[[str], str] = str
    immutable: frozenset[str] = frozenset()
    preserved_on_put: frozenset[str] = frozenset()
    author: str | None = None
    soft_delete: bool = False
    deleted: bool = False
    scope: tuple[str, ...] = ()
    summary: Summary | None = None
    computed: Mapping[str, Callable[[Engine], Mapping[str, ColumnElement]]] = field(default_factory=dict)
    referrers: list[Referrer] = field(default_factory=list)

    @cached_property
    def marks(self) -> dict[str, Marks]:
        """What the read schema says of each field."""
        return {name: read_marks(info) for name, info in self.read.model_fields.items()}

    @cached_property
    def references(self) -> dict[str, Reference]:
        """The fields that name another resource's record."""
        return {name: marks.reference for name, marks in self.marks.items() if marks.reference is not None}

    @cached_property
    def lists(self) -> dict[str, ChildRows]:
        """The fields that list rows of a child table."""
        return {name: marks.rows for name, marks in self.marks.items() if marks.rows is not None}

    @cached_property
    def counts(self) -> dict[str, str]:
        """The fields that count a list, with its name."""
        return {name: marks.count.name for name, marks in self.marks.items() if marks.count is not None}

    @cached_property
    def read_only(self) -> frozenset[str]:
        """The fields that only the product writes."""
        return frozenset(self.read.model_fields) - frozenset(self.create.model_fields)

    @property
    def expandable(self) -> tuple[str, ...]:
        """What `expand` takes."""
        return (*self.references, *self.computed)

    @cached_property
    def fields(self) -> dict[str, Field]:
        """Every name of the vocabulary: own fields, then those of related records as `machine.sector`."""
        return {known.name: known for known in _fields(self, (), "")}

    @cached_property
    def own_fields(self) -> dict[str, Field]:
        """The fields of the record itself, in the schema's order."""
        return {name: self.fields[name] for name in self.read.model_fields}

    @cached_property
    def shown_fields(self) -> dict[str, Field]:
        """The fields that a record has once, and a table can therefore show."""
        return {name: known for name, known in self.fields.items() if not known.is_of_item}

    def expansion(self, name: str) -> list[Field]:
        """The fields of the related record that `expand` adds under this name."""
        return [self.fields[f"{name}.{theirs}"] for theirs in self.references[name].resource.read.model_fields]

    @cached_property
    def searched_in_order(self) -> bool:
        """Whether the search index holds the records in the order of the tiebreakers."""
        return self.table.c[self.tiebreakers[0]].type is TIME.column_type

    def is_order_of_tiebreakers(self, order: Sequence[tuple[str, bool]]) -> bool:
        """Whether this order is that of the tiebreakers alone, or its reverse."""
        return [name for name, _ in order] == [*self.tiebreakers] and len({descending for _, descending in order}) == 1

    @cached_property
    def orderable(self) -> dict[str, Field]:
        """What an order is made of: the vocabulary, and the order of writing where it is not shown."""
        last = self.tiebreakers[-1]
        return {last: Field("id", INTEGER, nullable=False, column=self.table.c[last]), **self.fields}

    @cached_property
    def filters(self) -> dict[str, tuple[Field, Operator]]:
        """Every filter, by its parameter's name; `<key>` in it stands for any key."""
        return {
            known.parameter + (f"__{operator.name}" if operator.name else ""): (known, operator)
            for known in self.fields.values()
            for operator in OPERATORS.values()
            if operator.fits(known.kind, folded=known.folded is not None)
        }

    @cached_property
    def sortable(self) -> tuple[str, ...]:
        """The fields that a list can be sorted by: those that a record has once and that can be compared."""
        return tuple(
            known.name
            for known, operator in self.filters.values()
            if operator is EQUAL and known.kind is not OBJECT and not known.is_of_item
        )

    def index_name(self, prefix: Sequence[str]) -> str:
        """The name of the index of these columns and the tiebreakers."""
        return "_".join(["ix", self.table.name, *prefix, *self.tiebreakers])

    def find_filter(self, name: str) -> tuple[Field, Operator, str | None] | None:
        """The filter that a parameter's name means, and the key of the attribute if it means one."""
        found = self.filters.get(name)
        if found is not None and found[0].kind is not OBJECT:
            return (*found, None)
        any_key, key = attributes.split(name)
        return (*self.filters[any_key], key) if any_key in self.filters and attributes.is_key(key) else None

    def source(self, shown: Iterable[Field], *, outer: bool = False) -> FromClause:
        """The table, joined with those that the fields come from."""
        source: FromClause = self.table
        for join in dict.fromkeys(join for known in shown for join in known.joins):
            source = source.join(join.target, join.condition, isouter=outer or join.is_outer)
        return source

    def column_field(self, name: str, shown_as: str, path: tuple[Join, ...]) -> Field:
        """The field of this name, a column of the table, as the rows that `path` leads to have it."""
        marks, rows = self.marks[name], path[-1].target if path else self.table
        own = self.column_field(name, name, ()) if path else None
        nullable = marks.nullable or any(join.is_outer for join in path)
        folded = _folded(self.table, self.folded, rows, name, marks.kind)
        return Field(shown_as, marks.kind, nullable, rows.c[name], path, folded, marks.description, own)

    def own_column(self, known: Field) -> Column:
        """The column of this table that holds a field, or the reference through which it is reached."""
        if known.joins:
            return self.table.c[known.joins[0].reference.on]
        assert known.column is not None
        return self.table.c[known.column.name]


def _fields(resource: Resource, path: tuple[Join, ...], prefix: str) -> Iterator[Field]:
    """The fields of the records that `path` leads to: own ones, then those of the records that they name."""
    steps = {name: (*path, _join(resource, reference, path)) for name, reference in resource.references.items()}
    for name, marks in resource.marks.items():
        if marks.rows is not None:
            nullable = any(join.is_outer for join in path)
            yield Field(prefix + name, LIST, nullable, None, path, None, marks.description, rows=marks.rows)
        elif marks.reference is None or marks.reference.is_natural:
            yield resource.column_field(name, prefix + name, path)
        else:
            theirs = marks.reference.resource
            found = theirs.column_field(theirs.key, prefix + name, steps[name])
            yield replace(found, description=marks.description)
    for name, longer in steps.items():
        yield from _fields(longer[-1].reference.resource, longer, f"{prefix}{name}.")
    for name, rows in resource.lists.items():
        yield from _item_fields(rows, path, f"{prefix}{name}.")


def _join(resource: Resource, reference: Reference, path: tuple[Join, ...]) -> Join:
    source = path[-1].target if path else resource.table
    is_outer = bool(resource.table.c[reference.on].nullable) or any(join.is_outer for join in path)
    return Join(reference, source, reference.resource.table.alias(), is_outer)


def _item_fields(rows: ChildRows, path: tuple[Join, ...], prefix: str) -> Iterator[Field]:
    """The fields of a list's rows; only filters take them."""
    for name, info in rows.item.model_fields.items():
        marks = read_marks(info)
        folded = _folded(rows.table, None, rows.table, name, marks.kind)
        column, nullable = rows.table.c[name], True
        yield Field(prefix + name, marks.kind, nullable, column, path, folded, marks.description, rows=rows)


def _folded(table: Table, beside: Table | None, rows: FromClause, name: str, kind: Kind) -> ColumnElement | None:
    """The text that `contains` and its like compare; of an object, the representations of its attributes."""
    if kind.name in ("code", "choice"):
        return func.lower(rows.c[name])
    if f"{name}_folded" in table.c:
        return rows.c[f"{name}_folded"]
    if beside is None or name not in beside.c:
        return None
    return select(beside.c[name]).where(beside.c.id == rows.c.id).correlate(rows).scalar_subquery()


def folded_table(table: Table, read: type[SQLModel]) -> Table | None:
    """Create the side table of the folded texts and of the attributes' representations; None if there are neither."""
    kinds = {name: read_marks(info).kind for name, info in read.model_fields.items() if name in table.c}
    texts = [Column(name, kind.column_type) for name, kind in kinds.items() if kind in (TEXT, OBJECT)]
    if not texts:
        return None
    return Table(
        f"{table.name}_folded",
        table.metadata,
        Column(
            "id",
            INTEGER.column_type,
            ForeignKey(table.c.id, ondelete="RESTRICT"),
            primary_key=True,
            autoincrement=False,
        ),
        *texts,
    )


def read_marks(info: Any) -> Marks:
    """What the annotation of a read field says: its kind, and what it refers to."""
    found = [*info.metadata, *_metadata(info.annotation)]

    def first(kind: type) -> Any:
        return next((mark for mark in found if isinstance(mark, kind)), None)

    rows = first(ChildRows)
    nullable = type(None) in get_args(info.annotation)
    kind = LIST if rows else first(Kind)
    return Marks(kind, nullable, info.description or "", first(Reference), rows, first(CountOf))


def _metadata(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        return [*marks, *_metadata(inner)]
    return [mark for part in get_args(annotation) for mark in _metadata(part)]
