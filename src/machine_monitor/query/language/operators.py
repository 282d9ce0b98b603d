"""The filter operators: which kinds of field each applies to, how it compares, and its description in the API docs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import BindParameter, ColumnElement, and_, not_, or_

from machine_monitor.database.kinds import Kind

# Filters on an object compare one of its attributes.
ORDERED = frozenset({"text", "code", "choice", "integer", "time", "rank", "object"})
TEXTUAL = frozenset({"text", "code", "choice", "object"})
ANY = ORDERED | {"boolean", "uuid"}
MAX_FILTER_VALUES = 200


@dataclass(frozen=True)
class DayRangeBinds:
    """The bind parameters of a day operand: half-open, [start, end)."""

    start: BindParameter
    end: BindParameter


Operand = BindParameter | DayRangeBinds
Build = Callable[[ColumnElement, Sequence[Operand]], ColumnElement]


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator of the grammar, `field__name=value`.

    `value_type` says how the parameter's text is parsed: as the field's kind, as a comma-separated list, as text to
    fold, or as a boolean. `pattern` is the LIKE pattern around a folded text. `complement` is the operator that this
    one negates: it also matches records where the field is null, or where no child row has the value. `is_any_of` marks
    equality with one of several values.
    """

    name: str
    description: str
    kinds: frozenset[str]
    build: Build
    value_type: Literal["value", "values", "folded", "boolean"] = "value"
    pattern: str = "{}"
    complement: "Operator | None" = None
    is_any_of: bool = False

    @property
    def keeps_null(self) -> bool:
        """Whether a record without a value matches the filter."""
        return self.complement is not None

    def applies_to(self, kind: Kind, *, folded: bool) -> bool:
        """Whether the operator applies to fields of this kind; `folded` tells whether the field has a folded text."""
        return kind.name in self.kinds and (folded or self.value_type != "folded")


def _equal(column: ColumnElement, operands: Sequence[Operand]) -> ColumnElement:
    singles = [operand for operand in operands if isinstance(operand, BindParameter)]
    days = [
        and_(column >= operand.start, column < operand.end)
        for operand in operands
        if isinstance(operand, DayRangeBinds)
    ]
    if not days:
        return column == singles[0] if len(singles) == 1 else column.in_(singles)
    return or_(*days, *([column.in_(singles)] if singles else []))


def _not_equal(column: ColumnElement, operands: Sequence[Operand]) -> ColumnElement:
    return or_(column.is_(None), not_(_equal(column, operands)))


def _less(column: ColumnElement, operands: Sequence[Operand]) -> ColumnElement:
    (operand,) = operands
    return column < (operand.start if isinstance(operand, DayRangeBinds) else operand)


def _less_or_equal(column: ColumnElement, operands: Sequence[Operand]) -> ColumnElement:
    (operand,) = operands
    return column < operand.end if isinstance(operand, DayRangeBinds) else column <= operand


def _greater(column: ColumnElement, operands: Sequence[Operand]) -> ColumnElement:
    (operand,) = operands
    return column >= operand.end if isinstance(operand, DayRangeBinds) else column > operand


def _greater_or_equal(column: ColumnElement, operands: Sequence[Operand]) -> ColumnElement:
    (operand,) = operands
    return column >= (operand.start if isinstance(operand, DayRangeBinds) else operand)


def _like(column: ColumnElement, operands: Sequence[Operand]) -> ColumnElement:
    (operand,) = operands
    return column.like(operand, escape="\\")


def _is_null(column: ColumnElement, _operands: Sequence[Operand]) -> ColumnElement:
    return column.is_(None)


def _is_not_null(column: ColumnElement, _operands: Sequence[Operand]) -> ColumnElement:
    return column.is_not(None)


EQUAL = Operator("", "equals; if repeated, equals any of the values", ANY, _equal, is_any_of=True)
IN = Operator("in", "is one of 1 to 200 values, separated by commas", ANY, _equal, "values", is_any_of=True)
CONTAINS = Operator("contains", "contains the text; case and accents do not matter", TEXTUAL, _like, "folded", "%{}%")
NULL_DESCRIPTION = "`true`: has no value; `false`: has one"
IS_NOT_NULL = Operator("isnull", NULL_DESCRIPTION, ANY, _is_not_null, "boolean")
IS_NULL = Operator("isnull", NULL_DESCRIPTION, ANY, _is_null, "boolean", complement=IS_NOT_NULL)

# A folded text is compared by LIKE; its own `%`, `_` and `\` are escaped before it is put into the pattern.
OPERATORS = {
    operator.name: operator
    for operator in (
        EQUAL,
        Operator("ne", "differs, or has no value", ANY, _not_equal, complement=EQUAL),
        Operator("lt", "is less, or earlier", ORDERED, _less),
        Operator("lte", "is less, earlier or equal", ORDERED, _less_or_equal),
        Operator("gt", "is greater, or later", ORDERED, _greater),
        Operator("gte", "is greater, later or equal", ORDERED, _greater_or_equal),
        IN,
        Operator("nin", "is none of 1 to 200 values, or has no value", ANY, _not_equal, "values", complement=IN),
        CONTAINS,
        Operator("startswith", "begins with the text; case and accents do not matter", TEXTUAL, _like, "folded", "{}%"),
        Operator("endswith", "ends with the text; case and accents do not matter", TEXTUAL, _like, "folded", "%{}"),
        IS_NULL,
    )
}
