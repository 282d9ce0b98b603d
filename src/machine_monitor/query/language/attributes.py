"""Attributes: values under keys of people's own, which have no declared kind. What a filter compares of them.

A value has representations, each a text that equals and sorts as it does: `n` the number that it is, or that its text
is, as a double; `t` its text; `f` its text folded; `b` true or false. They stand beside the record, written with it:
`{"temp": {"t": "80", "f": "80", "n": "c054000000000000"}}`. Engines read numbers differently, to the last bit.
"""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from machine_monitor.database.engines import canonical_json
from machine_monitor.query.language.search_terms import fold

MAX_KEY = 64
KEY_RULE = f"A key of the attributes has 1 to {MAX_KEY} characters, no '.' and no '__'."
# Stands for any key in the name of a parameter.
ANY_KEY = "<key>"
NUMBER, TEXT, FOLDED, BOOLEAN = "ntfb"
_SIGN = 1 << 63
# RFC 8259, section 6.
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class AttributeOperand:
    """A value that attributes are compared with, and the representation that it is compared with."""

    representation: str
    text: str


def is_valid_key(text: str) -> bool:
    """Whether an attribute may have this key."""
    return 1 <= len(text) <= MAX_KEY and not any(character in text for character in (".", "__", "\0"))


def split_parameter(name: str) -> tuple[str, str]:
    """A parameter's name for any key, and the key: `attributes.<key>__gte` and `temp`."""
    path, _, rest = name.rpartition(".")
    key, mark, operator = rest.rpartition("__") if "__" in rest else (rest, "", "")
    return f"{path}.{ANY_KEY}{mark}{operator}", key


def parse_number(text: str) -> float | None:
    """The double that a JSON number is, infinite if it is too large; None if the text is none."""
    return float(text) if _NUMBER.fullmatch(text) else None


def sortable_hex(number: float) -> str:
    """Sixteen hexadecimal digits that sort as the numbers do."""
    # Adding zero makes one of the two zeros.
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    return f"{bits ^ (2 * _SIGN - 1 if bits & _SIGN else _SIGN):016x}"


def encode_representations(values: Mapping[str, Any]) -> str | None:
    """The representations of all attributes of a record, as they are kept; None if there is none."""
    return canonical_json({key: _representations(value) for key, value in values.items()}) if values else None


def _representations(value: str | float) -> dict[str, str]:
    if isinstance(value, bool):
        return {BOOLEAN: str(value).lower()}
    if isinstance(value, int | float):
        return {NUMBER: sortable_hex(value)}
    number = parse_number(value)
    return {TEXT: value, FOLDED: fold(value)} | ({} if number is None else {NUMBER: sortable_hex(number)})
