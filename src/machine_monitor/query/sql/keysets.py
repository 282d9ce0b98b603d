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

# Forms of a cursor value: null, and a text that was truncated to fit the URL.
NULL, TRUNCATED = "null", "truncated"
# The sort keys of a page: each field and whether it is descending.
SortKeys = Sequence[tuple[Field, bool]]


class Keyset(NamedTuple):
    """A cursor without its values: the bind name and form of each sort key."""

    binds: tuple[OperandBinds, ...]
    backward: bool = False
    inclusive: bool = False


def compile_keyset(engine: Engine, resource: Resource, order: Order, cursor: Cursor) -> tuple[Keyset, dict[str, Any]]:
    """Split a cursor into the part that the SQL text depends on and the bind values."""
    binds, values = [], {}
    for i, ((name, _), value) in enumerate(zip(order, cursor.values, strict=True)):
        bound = f"k{i}"
        form = NULL if value is None else TRUNCATED if isinstance(value, list) else VALUE
        binds.append(OperandBinds(form, (bound,)))
        values[bound] = value[0] if form == TRUNCATED else engine.to_db(value, resource.sort_key_fields[name].kind)
    return Keyset(tuple(binds), cursor.backward, cursor.inclusive), values


def ranges(resource: Resource, keyset: Keyset | None, order: SortKeys) -> list[ColumnElement]:
    """Return the key ranges after the cursor, in list order; each is one range scan of an index.

    If all sort keys are of one table, in one direction and never null, a single row comparison `(a, b) > (x, y)`
    suffices. Otherwise an OR would scan from the start of the index, so it is split into up to three ranges: the same
    first key and a later rest, a later first key, and a null first key.
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
    """Builds the SQL conditions "this record sorts after the cursor"."""

    resource: Resource
    keyset: Keyset
    order: SortKeys

    def after_from(self, start: int) -> ColumnElement:
        """The record sorts after the cursor by the sort keys from `start` on.

        This is a flat OR of ANDs, because SQLite's parser stack limits nesting to 100.
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
        """Sort key `i` equals the cursor's value."""
        column = self._column(i)
        return column.is_(None) if self.keyset.binds[i].form == NULL else column == self._value(i)

    def after_value(self, i: int) -> Iterator[ColumnElement]:
        """Yield the conditions under which sort key `i` comes after the cursor's value.

        Nulls are a separate condition.
        """
        (field, descending), column = self.order[i], self._column(i)
        if self.keyset.binds[i].form == NULL:
            # Nulls sort last: nothing follows them forward, every value follows them backward.
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
        # The cursor holds a truncated text: look up the full text of the record it was made from. If the record was
        # deleted or its text changed, compare with the truncated text, which is the closest position.
        truncated = bindparam(name, type_=Text())
        return case((func.substr(full_text, 1, TRUNCATED_LENGTH) == truncated, full_text), else_=truncated)
