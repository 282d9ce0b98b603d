"""Sums of the numbers of an attribute, exact and therefore alike on both engines, whatever the order of the records.

A number is stored as the 16 hexadecimal digits of a double, in a form that sorts (`language/attributes`). The first
three digits are its sign and exponent, the other thirteen its mantissa. SQL sums the mantissas of each exponent as
integers, in two parts that cannot overflow; Python adds up the few exponents as fractions.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, Text, cast, func, literal_column, select

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import EXACT_TEXT
from machine_monitor.query.language import attributes
from machine_monitor.query.schema import Resource

# The sortable digits of the smallest and the largest finite double. Those beyond are of texts such as "1e999".
SMALLEST, LARGEST = "0010000000000000", "ffefffffffffffff"
EXPONENT_DIGITS, HIGH_DIGITS, LOW_DIGITS = 3, 7, 6
LOW = 16**LOW_DIGITS
MANTISSA_BITS = 52
MANTISSA_MASK = (1 << MANTISSA_BITS) - 1
EXPONENT_MASK = 0x7FF
NEGATIVE_BELOW = 0x800
# A double is its mantissa, as an integer, times 2 ** (exponent - EXPONENT_BIAS).
EXPONENT_BIAS = 1075
# JSON numbers up to this one are exact as integers.
LARGEST_INTEGER = 2**53


class AttributeSum(NamedTuple):
    """The numbers of a group: their exact sum, how many there are, the smallest and the largest."""

    total: Fraction
    count: int
    smallest: float | None
    largest: float | None

    def value_of(self, function: str) -> int | float | None:
        """Return the sum, mean, min or max as a JSON number; None if there is none, or if it is too large."""
        if function == "sum":
            return json_number(self.total)
        if self.smallest is None or self.largest is None:
            return None
        values = {"mean": self.total / self.count, "min": self.smallest, "max": self.largest}
        return json_number(values[function])


NO_NUMBERS = AttributeSum(Fraction(0), 0, None, None)


def number_column(engine: Engine, resource: Resource, key: ColumnElement) -> ColumnElement:
    """Return the sortable digits of a record's attribute with this key; null if it is no number."""
    stored = resource.own_fields["attributes"].folded
    assert stored is not None
    return engine.member(stored, key).op("->>", return_type=EXACT_TEXT)(literal_column(f"'{attributes.NUMBER}'"))


def is_finite(number: ColumnElement) -> list[ColumnElement]:
    """Return the clauses that leave out what is no number, or too large for a double."""
    return [number >= literal_column(f"'{SMALLEST}'"), number <= literal_column(f"'{LARGEST}'")]


def aggregate(engine: Engine, records: FromClause, keys: Sequence[str]) -> Select:
    """Select for each group its keys, the smallest and largest number, and a text of its sums for `read`."""
    number = records.c.number
    sign_and_exponent = func.substr(number, literal_column("1"), literal_column(str(EXPONENT_DIGITS)))
    parts = (
        select(
            *[records.c[name] for name in keys],
            sign_and_exponent.label("exponent"),
            func.count().label("count"),
            func.sum(engine.hex_to_integer(number, EXPONENT_DIGITS + 1, HIGH_DIGITS)).label("high"),
            func.sum(engine.hex_to_integer(number, EXPONENT_DIGITS + HIGH_DIGITS + 1, LOW_DIGITS)).label("low"),
            func.min(number).label("smallest"),
            func.max(number).label("largest"),
        )
        .group_by(*[records.c[name] for name in keys], sign_and_exponent)
        .subquery()
    )
    blank = literal_column("' '")
    text = parts.c.exponent
    for name in ("count", "high", "low"):
        text = text.concat(blank).concat(cast(parts.c[name], Text))
    sums = engine.aggregate_texts(text).label("sums")
    group = [parts.c[name] for name in keys]
    smallest, largest = func.min(parts.c.smallest).label("smallest"), func.max(parts.c.largest).label("largest")
    return select(*group, smallest, largest, sums).group_by(*group).having(func.count() > literal_column("0"))


def read(rows: Iterable[Sequence]) -> dict[tuple, AttributeSum]:
    """Return the sums of each group by its keys, from the rows of `aggregate`."""
    parse = attributes.parse_sortable_hex
    return {
        tuple(keys): AttributeSum(*_add_up(sums), parse(smallest), parse(largest))
        for *keys, smallest, largest, sums in rows
    }


def _add_up(sums: str) -> tuple[Fraction, int]:
    total, records = Fraction(0), 0
    for part in sums.split(","):
        digits, *numbers = part.split()
        count, high, low = map(int, numbers)
        total += _total_of_exponent(int(digits, 16), count, high * LOW + low)
        records += count
    return total, records


def _total_of_exponent(digits: int, count: int, mantissas: int) -> Fraction:
    """Return the sum of `count` doubles with this sign and exponent, whose stored mantissas sum up to `mantissas`."""
    is_negative = digits < NEGATIVE_BELOW
    # All bits of a negative number are stored inverted.
    exponent = (~digits if is_negative else digits) & EXPONENT_MASK
    total = count * MANTISSA_MASK - mantissas if is_negative else mantissas
    if exponent:
        total += count << MANTISSA_BITS
    power = max(exponent, 1) - EXPONENT_BIAS
    value = Fraction(total << power) if power > 0 else Fraction(total, 1 << -power)
    return -value if is_negative else value


def json_number(value: Fraction | float) -> int | float | None:
    """Return a number as JSON shows it: a whole one without a fraction; None if it is too large for a double."""
    try:
        number = float(value)
    except OverflowError:
        return None
    return int(number) if number.is_integer() and abs(number) <= LARGEST_INTEGER else number
