"""Downloads: exports, which are streamed while they are built, and files, of which a client may ask for a range."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from functools import partial
from typing import Annotated, Any, BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from machine_monitor.api.access import needs
from machine_monitor.api.deps import Now, ReadDb, export_of
from machine_monitor.api.openapi.documents import export_operation
from machine_monitor.api.streaming import TimedStreamingResponse
from machine_monitor.errors import RangeNotSatisfiable
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.schema import Resource
from machine_monitor.services.access.permissions import READ
from machine_monitor.services.records.preconditions import ANY, parse_entity_tags
from machine_monitor.services.tabular.exports import FORMATS, Export, Format

# A file is read and sent in pieces of this size, so a download takes no more memory.
PIECE_BYTES = 64 * 1024
# No page of this site runs what is in a file, even if it is opened by itself in a browser.
FILE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"
_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)
_NOT_IN_FALLBACK = re.compile(r'[^ -~]|["\\%]')


def add_export_routes(router: APIRouter, resource: Resource) -> None:
    """Add one export route per format to a router."""
    for form in FORMATS.values():
        router.add_api_route(
            f"/{resource.name}.{form.suffix}",
            _endpoint(resource, form),
            dependencies=[needs(READ)],
            name=f"export_{resource.name}_{form.suffix}",
            **export_operation(resource, form),
        )


def _endpoint(resource: Resource, form: Format) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def export(query: Annotated[ListQuery, export_of(resource, form)], now: Now, database: ReadDb) -> Response:
        chunks = form.write(Export(database, query, now.zone))
        name = f"{resource.name}-{now.today}.{form.suffix}"
        # An export may be the whole site: no browser may keep it after the user has signed out.
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return TimedStreamingResponse(chunks, form.media_type, headers)

    return export


def disposition(name: str, *, inline: bool) -> str:
    """Return the header Content-Disposition (RFC 6266), with the name in ASCII for old clients and in full."""
    kind, fallback = "inline" if inline else "attachment", _NOT_IN_FALLBACK.sub("_", name)
    return f"{kind}; filename=\"{fallback}\"; filename*=UTF-8''{quote(name, safe='')}"


def is_unchanged(request: Request, tag: str) -> bool:
    """Whether If-None-Match names this entity tag."""
    return bool({ANY, tag} & {*parse_entity_tags(request.headers.get("if-none-match", ""))})


async def file_response(
    request: Request, open_file: Callable[[], BinaryIO], media_type: str, headers: Mapping[str, str]
) -> Response:
    """Return a file, or the range of it that the request asks for; `headers` has its ETag.

    Raises `RangeNotSatisfiable`, or `FileNotFoundError`.
    """
    file = await asyncio.to_thread(open_file)
    try:
        size = file.seek(0, 2)
        chosen = _range(request, size, headers["ETag"])
        start, end = (0, size) if chosen is None else chosen
        file.seek(start)
    except BaseException:
        file.close()
        raise
    described = {**headers, "Accept-Ranges": "bytes", "Content-Security-Policy": FILE_POLICY}
    if chosen is not None:
        described["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    response = TimedStreamingResponse(_pieces(file, end - start), media_type, described)
    response.status_code = 200 if chosen is None else 206
    response.headers["Content-Length"] = str(end - start)
    return response


async def _pieces(file: BinaryIO, length: int) -> AsyncGenerator[bytes]:
    with file:
        while length > 0:
            piece = await asyncio.to_thread(partial(file.read, min(PIECE_BYTES, length)))
            if not piece:
                # The response ends early, so the client sees that it is incomplete.
                raise OSError("The file was cut off while it was sent.")
            length -= len(piece)
            yield piece


def _range(request: Request, size: int, tag: str) -> tuple[int, int] | None:
    """Return the first byte and the end of the range that is asked for; None if it is the whole file.

    Several ranges, and units other than bytes, are answered with the whole file, as RFC 9110 allows.
    """
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or not any(match.groups()) or request.headers.get("if-range", tag) != tag:
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return None
    if start >= size:
        raise RangeNotSatisfiable(size)
    return start, end
