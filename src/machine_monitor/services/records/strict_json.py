"""JSON as RFC 8259 has it and nothing looser: no key twice, no NaN, nothing that a double cannot hold."""

import json
import math
from typing import Any, NoReturn

from machine_monitor.errors import BadJson

MAX_DEPTH = 32
# Of a longer integer, which Python would refuse, only as much is read as is too large for any field.
MAX_DIGITS = 1_000


def parse(raw: bytes, what: str = "body") -> Any:
    """The value of a JSON text; raises `BadJson` that calls it `what`, also for what most parsers let pass."""
    try:
        value = _DECODER.decode(raw.decode())
    except UnicodeDecodeError:
        raise BadJson(f"The {what} is not UTF-8.") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadJson(f"The {what} is not JSON: {error.msg.lower()} ({place}).") from None
    except RecursionError:
        raise BadJson(_too_deep(what)) from None
    except ValueError as error:
        raise BadJson(f"The {what} {error}") from None
    if isinstance(value, dict | list) and _is_deeper(value, MAX_DEPTH):
        raise BadJson(_too_deep(what))
    return value


def _too_deep(what: str) -> str:
    return f"The {what} is nested deeper than {MAX_DEPTH}."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("names a key twice.")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"has {name}, which is not JSON.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("has a number that is larger than a double can hold.")
    return number


def _integer(text: str) -> int:
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
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer
)
