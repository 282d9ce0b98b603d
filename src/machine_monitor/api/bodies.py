"""Read request bodies: size limit, media type, strict JSON (RFC 8259), then validation against the schema."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from fastapi import Request
from pydantic import ValidationError
from python_multipart.multipart import parse_options_header

from machine_monitor.api.deps import database_of
from machine_monitor.api.serving import uploads
from machine_monitor.database.engines import canonical_json
from machine_monitor.errors import BadJson, Fault, PayloadTooLarge, UnsupportedMediaType, invalid
from machine_monitor.models.fields import Schema
from machine_monitor.services.records import strict_json, validation

# More than any schema has. Reporting 100,000 unknown fields would block the event loop.
MAX_MEMBERS = 100
# More than 1,000 logs need. Parsing a body of millions of brackets would block the event loop for seconds.
MAX_BRACKETS = 200_000
MEDIA_TYPES = {
    "POST": {"application/json"},
    "PUT": {"application/json"},
    "PATCH": {"application/json", "application/merge-patch+json"},
}
# Larger bodies are parsed in a thread: a body of 1 MiB may take half a second.
INLINE_BYTES = 4 * 1024
# Key in the ASGI scope: the raw body, or what stands for a form, for the digest of an idempotency key.
RAW_BODY = "body"
S = TypeVar("S", bound=Schema)
T = TypeVar("T")


async def read_body(request: Request, schema: type[S]) -> S:
    """Read and validate the body; raises 413, 415, 400 or 422, in this order."""
    if schema.form_part and uploads.is_form(request):
        raw = await _receive_part(request, schema.form_part)
    else:
        raw = request.scope[RAW_BODY] = await _receive_json(request, schema.max_bytes)
    return await _run_parser(request, raw, partial(_parse, raw, schema, request.app.state.settings.zone))


async def read_json(request: Request, parse: Callable[[object], T]) -> T:
    """Read a body that has a parser of its own instead of a schema; raises like `read_body`."""
    raw = await _receive_json(request, Schema.max_bytes)
    return await _run_parser(request, raw, lambda: parse(parse_json(raw)))


async def _run_parser(request: Request, raw: bytes, parse: Callable[[], T]) -> T:
    return parse() if len(raw) <= INLINE_BYTES else await database_of(request).compute(parse)


def parse_json(raw: bytes) -> Any:
    """Parse a JSON text strictly, within bounds; raises `BadJson`."""
    if raw.count(b"[") + raw.count(b"{") > MAX_BRACKETS:
        raise BadJson(f"The body has more than {MAX_BRACKETS:,} objects and lists.")
    return strict_json.parse(raw)


def _parse(raw: bytes, schema: type[S], zone: ZoneInfo) -> S:
    body = parse_json(raw)
    if isinstance(body, dict) and len(body) > MAX_MEMBERS:
        raise invalid([Fault(f"The body has more than {MAX_MEMBERS} fields.", pointer="")])
    try:
        return schema.model_validate(body, context={"zone": zone})
    except ValidationError as error:
        raise invalid(validation.faults(error, schema)) from None


async def _receive_part(request: Request, name: str) -> bytes:
    """Receive a form; return the part that is the record as JSON. The files wait in the request's scope."""
    form = await uploads.receive_form(request, (name,))
    if name not in form.fields:
        raise invalid([Fault(f"The part '{name}' is missing: the record as JSON.", "required", pointer=f"/{name}")])
    # Of two forms with the same parts, the boundaries differ. A retry of an idempotent request is one with equal parts.
    files = [{"name": file.name, "sha256": file.digest} for file in form.files]
    request.scope[RAW_BODY] = form.fields[name] + b"\0" + canonical_json(files).encode()
    return form.fields[name]


async def _receive_json(request: Request, max_bytes: int) -> bytes:
    raw = await _receive(request, max_bytes)
    if not _is_json(request.method, request.headers.get("content-type", "none")):
        raise UnsupportedMediaType
    return raw


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


@lru_cache(maxsize=64)
def _is_json(method: str, content_type: str) -> bool:
    media_type, options = parse_options_header(content_type)
    charset = options.get(b"charset", b"utf-8").lower()
    return media_type.decode("latin-1").lower() in MEDIA_TYPES[method] and charset in (b"utf-8", b"utf8")
