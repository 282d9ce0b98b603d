"""Bodies: JSON as RFC 8259 has it and nothing looser, then the schema."""

import json
import math
from email.message import Message
from typing import Any, NoReturn, TypeVar

from fastapi import Request
from pydantic import ValidationError

from machine_monitor.errors import BadJson, Fault, PayloadTooLarge, UnsupportedMediaType, invalid
from machine_monitor.models.fields import Schema
from machine_monitor.services import validation

MAX_DEPTH = 32
# Far beyond any schema: to tell each of a hundred thousand that are not known would hold everybody up.
MAX_MEMBERS = 100
# Of a longer integer, which Python would refuse, only as much is read as is too large for any field.
MAX_DIGITS = 1_000
MEDIA_TYPES = {
    "POST": {"application/json"},
    "PUT": {"application/json"},
    "PATCH": {"application/json", "application/merge-patch+json"},
}
S = TypeVar("S", bound=Schema)


async def read_body(request: Request, schema: type[S]) -> S:
    """The request's body, checked; raises 413, 415, 400 or 422, in this order."""
    raw = await _receive(request, schema.max_bytes)
    _check_media_type(request)
    document = parse(raw)
    if isinstance(document, dict) and len(document) > MAX_MEMBERS:
        raise invalid([Fault(f"The body has more than {MAX_MEMBERS} fields.", pointer="")])
    try:
        return schema.model_validate(document, context={"zone": request.app.state.settings.zone})
    except ValidationError as error:
        raise invalid(validation.faults(error)) from None


def parse(raw: bytes) -> Any:
    """The JSON value of a body; raises `BadJson`, also for what most parsers let pass."""
    try:
        value = json.loads(
            raw.decode(),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
    except UnicodeDecodeError:
        message = "The body is not UTF-8."
        raise BadJson(message) from None
    except RecursionError:
        raise BadJson(_TOO_DEEP) from None
    except ValueError as error:
        raise BadJson(_sentence(error)) from None
    if _is_deeper(value, MAX_DEPTH):
        raise BadJson(_TOO_DEEP)
    return value


async def _receive(request: Request, max_bytes: int) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and len(length) < 20 and int(length) > max_bytes:
        raise PayloadTooLarge
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise PayloadTooLarge
        parts.append(part)
    return b"".join(parts)


def _check_media_type(request: Request) -> None:
    header = Message()
    header["content-type"] = request.headers.get("content-type", "none")
    charset = str(header.get_param("charset", "utf-8")).lower()
    if header.get_content_type() not in MEDIA_TYPES[request.method] or charset not in ("utf-8", "utf8"):
        raise UnsupportedMediaType


_TOO_DEEP = f"The body is nested deeper than {MAX_DEPTH}."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        message = "The body names a key twice."
        raise ValueError(message)
    return members


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON."
    raise ValueError(message)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        message = "A number is larger than a double can hold."
        raise ValueError(message)
    return number


def _integer(text: str) -> int:
    return int(text[:MAX_DIGITS])


def _sentence(error: ValueError) -> str:
    """What was wrong and where, never the text itself."""
    if isinstance(error, json.JSONDecodeError):
        return f"The body is not JSON: {error.msg.lower()} (line {error.lineno}, column {error.colno})."
    return str(error)


def _is_deeper(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            part
            for item in level
            if isinstance(item, dict | list)
            for part in (item.values() if isinstance(item, dict) else item)
        ]
    return any(isinstance(item, dict | list) for item in level)
