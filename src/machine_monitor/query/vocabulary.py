"""What can be asked of a resource, derived from its read schema: names, kinds, columns, related fields."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, get_args, get_origin

from sqlalchemy import Column, ColumnElement, ForeignKey, FromClause, Table, func, select
from sqlmodel import SQLModel

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER, OBJECT, TEXT, TIME, Kind
from machine_monitor.query import attributes
from machine_monitor.query.operators import EQUAL, OPERATORS, Operator


@dataclass(frozen=True, eq=False)
class Related:
    """Marks a read field that names a record of another resource: our column `on` holds their column `to`."""

    resource: "Resource"
    on: str
    to: str


@dataclass(frozen=True, eq=False)
class Field:
    """One name that can be read, filtered and sorted by; `relation` is how its column is reached."""

    name: str
    kind: Kind
    nullable: bool
    column: ColumnElement
    relation: str | None
    folded: ColumnElement | None
    description: str = ""

    @property
    def parameter(self) -> str:
        """The name of the filter that is its equality; `<key>` stands for any key of its attributes."""
        return f"{self.name}.{attributes.ANY_KEY}" if self.kind is OBJECT else self.name


@dataclass(frozen=True, eq=False)
class Summary:
    """How a resource's records are counted, by fields of its vocabulary.

    `at` places a record in time, `failure` says whether it counts as one, `stop` is the span in which the record of the
    column `stopped` stood still. `counts` is the table of counts that are kept, `derived` says in which zone; there is
    one of all records for each value of the fields in `kept`, and one for each of the units of time named there.
    """

    fields: tuple[str, ...]
    at: str
    failure: str
    stop: tuple[str, str]
    stopped: str
    counts: Table
    derived: Table
    kept: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Resource:
    """One resource, declared once: its table, its schemas, and how its lists are searched and ordered.

    `key` is the read field in the record's path, `find_by` the column that finds it after `normalise`;
    `unique_by` and `uniform` say what must be unique. A PUT keeps the stored value of `kept` where it is silent,
    `immutable` fields are set at creation only. `ties` make every order total; the search index follows time where
    the first of them is one, and has a word for each value of `facets`. For each of `paths` there is an index of these
    columns and the ties: the first that the filters fix is the one to read by. What `expand` may add beside related
    records are the members of `computed`, as JSON. Lists show the records that are not deleted, or only those that are
    (`deleted`).
    """

    name: str
    noun: str
    table: Table
    read: type[SQLModel]
    key: str
    sort: str
    ties: tuple[str, ...]
    create: type[SQLModel]
    folded: Table | None = None
    searched: tuple[str, ...] = ()
    facets: tuple[str, ...] = ()
    paths: tuple[tuple[str, ...], ...] = ()
    find_by: str = ""
    normalise: Callable[[str], str] = str
    unique_by: str = ""
    uniform: Callable[[str], str] = str
    immutable: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    soft_delete: bool = False
    deleted: bool = False
    scope: tuple[str, ...] = ()
    summary: Summary | None = None
    computed: Mapping[str, Callable[[Engine], Mapping[str, ColumnElement]]] = field(default_factory=dict)

    @cached_property
    def relations(self) -> dict[str, Related]:
        """The fields that name another resource's record."""
        found = {name: _describe(info)[2] for name, info in self.read.model_fields.items()}
        return {name: related for name, related in found.items() if related is not None}

    @property
    def expandable(self) -> tuple[str, ...]:
        """What `expand` takes."""
        return (*self.relations, *self.computed)

    @cached_property
    def own_fields(self) -> dict[str, Field]:
        """The fields of the record itself, in the schema's order."""
        return {name: self._own_field(name) for name in self.read.model_fields}

    @cached_property
    def fields(self) -> dict[str, Field]:
        """Every name of the vocabulary: own fields, then those of related records as `machine.sector`."""
        related = [
            replace(
                theirs,
                name=f"{name}.{theirs.name}",
                relation=name,
                nullable=theirs.nullable or self.own_fields[name].nullable,
            )
            for name, relation in self.relations.items()
            for theirs in relation.resource.own_fields.values()
        ]
        return {**self.own_fields, **{theirs.name: theirs for theirs in related}}

    @cached_property
    def searched_in_order(self) -> bool:
        """Whether the search index holds the records in the order of `ties`."""
        return self.table.c[self.ties[0]].type is TIME.column_type

    def is_in_order_of_ties(self, order: Sequence[tuple[str, bool]]) -> bool:
        """Whether this order is that of the ties alone, or its reverse."""
        return [name for name, _ in order] == [*self.ties] and len({descending for _, descending in order}) == 1

    @cached_property
    def orderable(self) -> dict[str, Field]:
        """What an order is made of: the vocabulary, and the order of writing where it is not shown."""
        writing = Field("id", INTEGER, nullable=False, column=self.table.c[self.ties[-1]], relation=None, folded=None)
        return {self.ties[-1]: writing, **self.fields}

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
        """The fields that a list can be sorted by: those that can be compared."""
        return tuple(
            known.name for known, operator in self.filters.values() if operator is EQUAL and known.kind is not OBJECT
        )

    def find_filter(self, name: str) -> tuple[Field, Operator, str | None] | None:
        """The filter that a parameter's name means, and the key of the attribute if it means one."""
        any_key, key = attributes.split(name)
        if any_key in self.filters:
            return (*self.filters[any_key], key) if attributes.is_key(key) else None
        return (*self.filters[name], None) if name in self.filters else None

    def source(self, shown: Iterable[Field], expand: Iterable[str] = ()) -> FromClause:
        """The table, joined with those of the related records that are shown or ordered by."""
        source: FromClause = self.table
        needed = {known.relation for known in shown} | set(expand)
        for name, related in self.relations.items():
            if name in needed:
                ours, theirs = self.table.c[related.on], related.resource.table.c[related.to]
                source = source.join(related.resource.table, ours == theirs, isouter=bool(ours.nullable))
        return source

    def own_column(self, known: Field) -> ColumnElement:
        """The column of this table that holds a field, or the key of the related record that does."""
        return self.table.c[self.relations[known.relation].on] if known.relation else known.column

    def _own_field(self, name: str) -> Field:
        info = self.read.model_fields[name]
        kind, nullable, related = _describe(info)
        if related is not None and related.resource.key != related.to:
            theirs = related.resource.own_fields[related.resource.key]
            return Field(name, kind, nullable, theirs.column, name, theirs.folded, info.description or "")
        column = self.table.c[name]
        return Field(name, kind, nullable, column, None, self._folded(name, column, kind), info.description or "")

    def _folded(self, name: str, column: ColumnElement, kind: Kind) -> ColumnElement | None:
        """The text that `contains` and its like compare; of an object, the aspects of its attributes."""
        if kind.name in ("code", "choice"):
            return func.lower(column)
        if f"{name}_folded" in self.table.c:
            return self.table.c[f"{name}_folded"]
        if self.folded is None or name not in self.folded.c:
            return None
        return (
            select(self.folded.c[name])
            .where(self.folded.c.id == self.table.c.id)
            .correlate(self.table)
            .scalar_subquery()
        )


def folded_table(table: Table, read: type[SQLModel]) -> Table:
    """The table beside `table` with its folded texts, and what its attributes are compared by, one row a record."""
    kinds = {name: _describe(info)[0] for name, info in read.model_fields.items() if name in table.c}
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
        *[Column(name, kind.column_type) for name, kind in kinds.items() if kind in (TEXT, OBJECT)],
    )


def _describe(info: Any) -> tuple[Kind, bool, Related | None]:
    """Kind, nullability and relation of a read field, from its annotation and the metadata in it."""
    marks = [*info.metadata, *_marks(info.annotation)]
    kind = next(mark for mark in marks if isinstance(mark, Kind))
    related = next((mark for mark in marks if isinstance(mark, Related)), None)
    return kind, type(None) in get_args(info.annotation), related


def _marks(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        return [*marks, *_marks(inner)]
    return [mark for part in get_args(annotation) for mark in _marks(part)]
