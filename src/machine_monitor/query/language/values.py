"""Parse the values of filters according to the field's kind."""

import csv
import math
import re
from collections.abc import Callable
from datetime import datetime

from machine_monitor.database import instants
from machine_monitor.database.kinds import OBJECT, Kind
from machine_monitor.query.language import attributes
from machine_monitor.query.language.attributes import AttributeOperand
from machine_monitor.query.language.folding import fold
from machine_monitor.query.language.operators import MAX_FILTER_VALUES, Operator
from machine_monitor.query.language.times import BadTime, DayRange, TimeContext, parse_time_filter
from machine_monitor.suggestions import did_you_mean

# The largest integer that a double represents exactly, and so the largest that all JSON parsers agree on.
MAX_INTEGER = 2**53 - 1
_INTEGER = re.compile(r"-?[0-9]{1,16}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BOOLEANS = {"true": True, "false": False}

Value = str | int | bool | AttributeOperand | tuple[str, str]  # a pair is a day: its start and its end


class BadValue(ValueError):
    """The text is not a valid value of the field. `allowed` lists the valid values of a closed set."""

    def __init__(self, message: str, allowed: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.allowed = allowed


def parse_values(text: str, kind: Kind, operator: Operator, time_context: TimeContext) -> tuple[Value, ...]:
    """Parse the values of one filter; raises `BadValue`."""
    if operator.value_type == "folded":
        pattern = operator.pattern.format(_like_operand(text))
        return (AttributeOperand(attributes.FOLDED, pattern) if kind is OBJECT else pattern,)
    parts = _split(text) if operator.value_type == "values" else [text]
    if kind is OBJECT:
        return tuple(_attribute(part, operator) for part in parts)
    return tuple(_PARSERS[kind.name](part, kind, time_context) for part in parts)


def _like_operand(text: str) -> str:
    """Fold a text and escape it for LIKE. Only the empty text is part of every text."""
    folded = fold(text)
    # Ignorable characters alone would fold to the empty text: no folded text has one, so they match nothing.
    return re.sub(r"([\\%_])", r"\\\1", folded) if folded or not text else text


def parse_boolean(text: str) -> bool:
    """Parse `true` or `false`; raises `BadValue`."""
    if text not in _BOOLEANS:
        message = "Expected true or false."
        raise BadValue(message, tuple(_BOOLEANS))
    return _BOOLEANS[text]


def parse_integer(text: str) -> int:
    """Parse an integer of at most 53 bits; raises `BadValue`."""
    if not _INTEGER.fullmatch(text) or abs(int(text)) > MAX_INTEGER:
        message = "Expected an integer between -9007199254740991 and 9007199254740991 (53 bits)."
        raise BadValue(message)
    return int(text)


def integer_between(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of integers from `low` to `high`."""

    def parse(text: str) -> int:
        number = parse_integer(text)
        if not low <= number <= high:
            message = f"Write an integer from {low} to {high}."
            raise BadValue(message)
        return number

    return parse


def one_of(names: tuple[str, ...]) -> Callable[[str], str]:
    """Return a parser that accepts one of these words."""

    def parse(text: str) -> str:
        if text not in names:
            message = f"Write one of {', '.join(names)}.{did_you_mean(text, names)}"
            raise BadValue(message, names)
        return text

    return parse


def regex_parser(pattern: str, expected: str) -> Callable[[str], str]:
    """Return a parser of texts that match a regular expression; `expected` says in words what they are."""

    def parse(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            message = f"Expected {expected}."
            raise BadValue(message)
        return text

    return parse


def is_relative(text: str) -> bool:
    """Whether a time, or one of a comma-separated list, is relative to the current time."""
    return any(part.strip('"').startswith(("now", "today", "yesterday", "-")) for part in text.split(","))


def _split(text: str) -> list[str]:
    """Split a comma-separated list, quoted as in CSV."""
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error:
        message = "The list is not valid CSV: put a value with a comma, quote or line break in double quotes."
        raise BadValue(message) from None
    parts = rows[0] if rows and rows[0] else [""]
    if len(rows) > 1 or len(parts) > MAX_FILTER_VALUES:
        message = f"Write 1 to {MAX_FILTER_VALUES} values, separated by commas."
        raise BadValue(message)
    return parts


def _time(text: str, time_context: TimeContext) -> Value:
    try:
        moment: datetime | DayRange = parse_time_filter(text, time_context)
    except BadTime as error:
        raise BadValue(str(error)) from None
    if isinstance(moment, DayRange):
        return instants.format_instant(moment.start), instants.format_instant(moment.end)
    return instants.format_instant(moment)


def _uuid(text: str) -> str:
    if not _UUID.fullmatch(text.lower()):
        message = "Write a UUID with its hyphens."
        raise BadValue(message)
    return text.lower()


def _choice(text: str, kind: Kind) -> str:
    if text not in kind.choices:
        message = (
            f"Unknown value '{text}'. Expected one of {', '.join(kind.choices)}.{did_you_mean(text, kind.choices)}"
        )
        raise BadValue(message, kind.choices)
    return text


def _attribute(text: str, operator: Operator) -> AttributeOperand:
    """Parse the operand of an attribute filter: a JSON number, true or false; anything else is text.

    So is anything in double quotes.
    """
    if text in _BOOLEANS:
        if "boolean" not in operator.kinds:
            message = f"{text} has no order: use =, ne, in or nin. To compare with the text, put it in double quotes."
            raise BadValue(message)
        return AttributeOperand(attributes.BOOLEAN, text)
    number = attributes.parse_number(text)
    if number is None:
        quoted = len(text) > 1 and text.startswith('"') and text.endswith('"')
        return AttributeOperand(attributes.TEXT, text[1:-1] if quoted else text)
    if math.isinf(number):
        message = "The number is too large for a double. To compare with the text, put it in double quotes."
        raise BadValue(message)
    return AttributeOperand(attributes.NUMBER, attributes.sortable_hex(number))


_PARSERS: dict[str, Callable[[str, Kind, TimeContext], Value]] = {
    "text": lambda text, *_: text,
    "code": lambda text, *_: text,
    "choice": lambda text, kind, _: _choice(text, kind),
    "rank": lambda text, kind, _: _choice(text, kind),
    "integer": lambda text, *_: parse_integer(text),
    "boolean": lambda text, *_: parse_boolean(text),
    "uuid": lambda text, *_: _uuid(text),
    "time": lambda text, _, time_context: _time(text, time_context),
}
