"""A strict JSON parser (RFC 8259): rejects duplicate keys, NaN, Infinity and numbers beyond a double."""

import json
import math
from collections import Counter
from typing import Any, NoReturn

from machine_monitor.errors import BadJson

MAX_DEPTH = 32
# Python refuses to parse much longer integers. Truncated, they are still too large for any field, so validation
# rejects them.
MAX_DIGITS = 1_000
# Characters of a key that an error message shows.
MAX_SHOWN_KEY = 40


def parse(raw: bytes, input_name: str = "body") -> Any:
    """Parse a JSON text strictly; raises `BadJson`, whose message calls the input `input_name`."""
    try:
        value = _DECODER.decode(raw.decode())
    except UnicodeDecodeError:
        raise BadJson(f"The {input_name} is not UTF-8.") from None
    except json.JSONDecodeError as error:
        position = f"line {error.lineno}, column {error.colno}"
        raise BadJson(f"The {input_name} is not JSON: {error.msg.lower()} ({position}).") from None
    except RecursionError:
        raise BadJson(_too_deep(input_name)) from None
    except ValueError as error:
        raise BadJson(f"The {input_name} {error}") from None
    if isinstance(value, dict | list) and _is_deeper(value, MAX_DEPTH):
        raise BadJson(_too_deep(input_name))
    return value


def _too_deep(input_name: str) -> str:
    return f"The {input_name} is nested too deeply: at most {MAX_DEPTH} levels are allowed."


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        duplicate = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"contains the key '{duplicate[:MAX_SHOWN_KEY]}' more than once.")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"contains {name}, which JSON does not allow.")


def _parse_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("contains a number that is too large for a double.")
    return number


def _parse_integer(text: str) -> int:
    return int(text[:MAX_DIGITS])


def _is_deeper(value: dict[str, Any] | list[Any], depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            part
            for item in level
            for part in (item.values() if isinstance(item, dict) else item)
            if isinstance(part, dict | list)
        ]
        if not level:
            return False
    return True


_DECODER = json.JSONDecoder(
    object_pairs_hook=_reject_duplicate_keys,
    parse_constant=_refuse_constant,
    parse_float=_parse_float,
    parse_int=_parse_integer,
)
