"""Keyset pagination: what lies past a record in an order of several fields, nulls last."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Text, and_, bindparam, case, func, or_, select, true, tuple_

from machine_monitor.query.cursors import ABBREVIATED
from machine_monitor.query.vocabulary import Field, Resource

# The fields that a page is ordered by, and whether each descends.
Order = list[tuple[Field, bool]]


@dataclass(frozen=True)
class Keyset:
    """The shape of a cursor: `forms` has `n` for each value that is null, `a` for each abbreviated, else `v`."""

    forms: str
    backward: bool = False
    inclusive: bool = False


def branches(resource: Resource, keyset: Keyset | None, order: Order) -> list[ColumnElement]:
    """What lies past the cursor, as conditions that follow each other, each a range of an index.

    Where all fields are of one table, go one way and none is null one row comparison says it. Else one condition would
    scan from the start: the rest of the first field's value, the values past it, and its nulls are a range each.
    """
    if keyset is None:
        return [true()]
    past = _Past(resource, keyset, order)
    if _comparable(order) and len({known.relation for known, _ in order}) == 1:
        return [past.from_field(0)]
    return [and_(past.same(0), past.from_field(1)), *past.beyond(0)]


def _comparable(order: Order) -> bool:
    return len({descending for _, descending in order}) == 1 and not any(known.nullable for known, _ in order)


@dataclass(frozen=True)
class _Past:
    resource: Resource
    keyset: Keyset
    order: Order

    def from_field(self, start: int) -> ColumnElement:
        """Past the cursor by the fields from `start` on, where those before it are the same.

        One level deep whatever the number of fields: SQLite's parser has a stack of a hundred.
        """
        alternatives: list[ColumnElement] = []
        same: list[ColumnElement] = []
        for i in range(start, len(self.order)):
            if _comparable(self.order[i:]):
                alternatives.append(and_(*same, self._row_comparison(i)))
                break
            alternatives += [and_(*same, clause) for clause in self.beyond(i)]
            same.append(self.same(i))
        return or_(*alternatives)

    def _row_comparison(self, start: int) -> ColumnElement:
        rest = self.order[start:]
        columns = tuple_(*[known.column for known, _ in rest])
        values = tuple_(*[self._value(i) for i in range(start, len(self.order))])
        if rest[0][1]:
            return columns <= values if self.keyset.inclusive else columns < values
        return columns >= values if self.keyset.inclusive else columns > values

    def same(self, i: int) -> ColumnElement:
        """The records that have the cursor's value in one field."""
        column = self.order[i][0].column
        return column.is_(None) if self.keyset.forms[i] == "n" else column == self._value(i)

    def beyond(self, i: int) -> Iterator[ColumnElement]:
        """The records whose value in one field comes after the cursor's, nulls apart."""
        known, descending = self.order[i]
        if self.keyset.forms[i] == "n":
            # Nothing comes after null, but on the way back everything does.
            if self.keyset.backward:
                yield known.column.is_not(None)
            return
        yield known.column < self._value(i) if descending else known.column > self._value(i)
        if known.nullable and not self.keyset.backward:
            yield known.column.is_(None)

    def _value(self, i: int) -> ColumnElement:
        known = self.order[i][0]
        if self.keyset.forms[i] != "a":
            return bindparam(f"k{i}", type_=known.kind.column_type)
        last = len(self.order) - 1
        mark = self.order[last][0]
        whole = (
            select(known.column)
            .select_from(self.resource.source([known, mark]))
            .where(mark.column == bindparam(f"k{last}", type_=mark.kind.column_type))
            .correlate(None)
            .scalar_subquery()
        )
        # The cursor has only the beginning: the record that it was read from is asked again. If that is gone or has
        # another text since, the beginning is the nearest place.
        beginning = bindparam(f"k{i}", type_=Text())
        return case((func.substr(whole, 1, ABBREVIATED) == beginning, whole), else_=beginning)
