"""Keyset pagination: which records come after a cursor in an order of several fields, nulls last."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Text, and_, bindparam, case, func, or_, select, true, tuple_

from machine_monitor.database.engines import Engine
from machine_monitor.query.language.cursors import TRUNCATED_LENGTH, Cursor
from machine_monitor.query.language.parser import Order
from machine_monitor.query.schema import Field, Resource
from machine_monitor.query.sql.filters import VALUE, OperandBinds

# A cursor's value that is null, and one of which the cursor has only the beginning.
NULL, TRUNCATED = "null", "truncated"
# The fields that a page is read by, and whether each descends.
SortKeys = Sequence[tuple[Field, bool]]


class Keyset(NamedTuple):
    """A cursor as the text of a statement depends on it: where the value of each field of the order is bound."""

    binds: tuple[OperandBinds, ...]
    backward: bool = False
    inclusive: bool = False


def compile_keyset(engine: Engine, resource: Resource, order: Order, cursor: Cursor) -> tuple[Keyset, dict[str, Any]]:
    """The cursor as a statement depends on it, and the values that it binds."""
    binds, values = [], {}
    for i, ((name, _), value) in enumerate(zip(order, cursor.values, strict=True)):
        bound = f"k{i}"
        form = NULL if value is None else TRUNCATED if isinstance(value, list) else VALUE
        binds.append(OperandBinds(form, (bound,)))
        values[bound] = value[0] if form == TRUNCATED else engine.store(value, resource.sort_key_fields[name].kind)
    return Keyset(tuple(binds), cursor.backward, cursor.inclusive), values


def ranges(resource: Resource, keyset: Keyset | None, order: SortKeys) -> list[ColumnElement]:
    """The records after the cursor, as conditions that follow each other, each a range of an index.

    One row comparison is enough where all fields are of one table, have one direction and are never null. Else one
    condition would scan from the start: the rest of the first field's value, the values after it, and its nulls are a
    range each.
    """
    if keyset is None:
        return [true()]
    predicate = KeysetPredicate(resource, keyset, order)
    if _is_comparable(order) and len({field.joins for field, _ in order}) == 1:
        return [predicate.after_from(0)]
    return [and_(predicate.equals(0), predicate.after_from(1)), *predicate.after_value(0)]


def _is_comparable(order: SortKeys) -> bool:
    return len({descending for _, descending in order}) == 1 and not any(field.nullable for field, _ in order)


@dataclass(frozen=True)
class KeysetPredicate:
    """Builds the conditions that put a record after a cursor."""

    resource: Resource
    keyset: Keyset
    order: SortKeys

    def after_from(self, start: int) -> ColumnElement:
        """After the cursor by the fields from `start` on, where those before it are the same.

        One level deep whatever the number of fields: SQLite's parser has a stack of a hundred.
        """
        alternatives: list[ColumnElement] = []
        same: list[ColumnElement] = []
        for i in range(start, len(self.order)):
            if _is_comparable(self.order[i:]):
                alternatives.append(and_(*same, self._row_comparison(i)))
                break
            alternatives += [and_(*same, clause) for clause in self.after_value(i)]
            same.append(self.equals(i))
        return or_(*alternatives)

    def equals(self, i: int) -> ColumnElement:
        """The records that have the cursor's value in one field."""
        column = self._column(i)
        return column.is_(None) if self.keyset.binds[i].form == NULL else column == self._value(i)

    def after_value(self, i: int) -> Iterator[ColumnElement]:
        """The records whose value in one field comes after the cursor's, nulls apart."""
        (field, descending), column = self.order[i], self._column(i)
        if self.keyset.binds[i].form == NULL:
            # Nothing comes after null, but on the way back everything does.
            if self.keyset.backward:
                yield column.is_not(None)
            return
        yield column < self._value(i) if descending else column > self._value(i)
        if field.nullable and not self.keyset.backward:
            yield column.is_(None)

    def _row_comparison(self, start: int) -> ColumnElement:
        indexes = range(start, len(self.order))
        columns, values = tuple_(*map(self._column, indexes)), tuple_(*map(self._value, indexes))
        if self.order[start][1]:
            return columns <= values if self.keyset.inclusive else columns < values
        return columns >= values if self.keyset.inclusive else columns > values

    def _column(self, i: int) -> ColumnElement:
        column = self.order[i][0].column
        assert column is not None
        return column

    def _value(self, i: int) -> ColumnElement:
        field, bind = self.order[i][0], self.keyset.binds[i]
        (name,) = bind.names
        if bind.form != TRUNCATED:
            return bindparam(name, type_=field.kind.column_type)
        unique, column = self.order[-1][0], self._column(-1)
        full_text = (
            select(self._column(i))
            .select_from(self.resource.joined_table([field, unique]))
            .where(column == bindparam(self.keyset.binds[-1].names[0], type_=unique.kind.column_type))
            .correlate(None)
            .scalar_subquery()
        )
        # The cursor has only the beginning of the text: ask the record that it was read from. If that is gone or has
        # another text since, the beginning is the nearest place.
        truncated = bindparam(name, type_=Text())
        return case((func.substr(full_text, 1, TRUNCATED_LENGTH) == truncated, full_text), else_=truncated)
