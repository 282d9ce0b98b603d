"""Attributes: user-defined keys with untyped values, and how filters compare them.

A value is stored in one or more representations, each a text that compares like the value: `n` a number (as a sortable
double; also for a text that is a number), `t` text, `f` folded text, `b` boolean. They are stored beside the record:
`{"temp": {"t": "80", "f": "80", "n": "c054000000000000"}}`. Both engines compare texts alike, but they may parse the
same number differently in the last bit.
"""

import re
import struct
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from machine_monitor.database.engines import canonical_json
from machine_monitor.query.language.folding import fold

MAX_KEY_LENGTH = 64
KEY_RULE = f"A key of the attributes has 1 to {MAX_KEY_LENGTH} characters, no '.' and no '__'."
# Placeholder for the attribute key in parameter names.
ANY_KEY = "<key>"
NUMBER, TEXT, FOLDED, BOOLEAN = "ntfb"
_SIGN = 1 << 63
# RFC 8259, section 6.
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class AttributeOperand:
    """The operand of an attribute filter: its text, and the representation to compare it with."""

    representation: str
    text: str


def is_valid_key(text: str) -> bool:
    """Whether the text is a valid attribute key."""
    return 1 <= len(text) <= MAX_KEY_LENGTH and not any(character in text for character in (".", "__", "\0"))


def derive_key(text: str, taken: AbstractSet[str]) -> str:
    """Return the text itself if it is a valid key, or else one that is derived from it and different from `taken`."""
    if is_valid_key(text):
        return text
    stem = re.sub(r"[._\0]+", "_", text)[:MAX_KEY_LENGTH] or "_"
    key, number = stem, 1
    while key in taken:
        number += 1
        key = f"{stem[: MAX_KEY_LENGTH - 8].rstrip('_')}_{number}"
    return key


def split_parameter(name: str) -> tuple[str, str]:
    """Split `attributes.temp__gte` into its generic name `attributes.<key>__gte` and the key `temp`."""
    path, _, rest = name.rpartition(".")
    key, mark, operator = rest.rpartition("__") if "__" in rest else (rest, "", "")
    return f"{path}.{ANY_KEY}{mark}{operator}", key


def parse_number(text: str) -> float | None:
    """Parse a JSON number as a double (infinite if too large); None if the text is not a JSON number."""
    return float(text) if _NUMBER.fullmatch(text) else None


def sortable_hex(number: float) -> str:
    """Encode a double as 16 hexadecimal digits that sort like the number."""
    # Adding 0.0 turns -0.0 into 0.0.
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    return f"{bits ^ (2 * _SIGN - 1 if bits & _SIGN else _SIGN):016x}"


def parse_sortable_hex(digits: str) -> float:
    """Return the double that `sortable_hex` encoded."""
    stored = int(digits, 16)
    bits = stored ^ _SIGN if stored & _SIGN else stored ^ (2 * _SIGN - 1)
    return struct.unpack(">d", struct.pack(">Q", bits))[0]


def encode_representations(values: Mapping[str, Any]) -> str | None:
    """Return the representations of a record's attributes as JSON; None if it has no attributes."""
    return canonical_json({key: _representations(value) for key, value in values.items()}) if values else None


def _representations(value: str | float) -> dict[str, str]:
    if isinstance(value, bool):
        return {BOOLEAN: str(value).lower()}
    if isinstance(value, int | float):
        return {NUMBER: sortable_hex(value)}
    number = parse_number(value)
    return {TEXT: value, FOLDED: fold(value)} | ({} if number is None else {NUMBER: sortable_hex(number)})
