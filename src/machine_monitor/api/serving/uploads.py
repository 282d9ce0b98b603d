"""Receive files, as parts of a form (multipart/form-data) or one as the whole body. They are streamed to disk."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from machine_monitor.api.access import user_of
from machine_monitor.errors import (
    BadRequest,
    Fault,
    FileTooLarge,
    Invalid,
    PayloadTooLarge,
    UnsupportedMediaType,
    invalid,
)
from machine_monitor.models.attachment import clean_name
from machine_monitor.services.files.receiving import Files, ReceivedFile, ReceivedTable

# The name of the parts that are files, and how many a request may have.
FILES, MAX_FILES = "files", 10
# The name of the part that is a table to import.
TABLE = "file"
MAX_FIELD_BYTES = 1024 * 1024
# Boundaries and the headers of parts.
OVERHEAD_BYTES = 256 * 1024
FORM_TYPE, FILE_TYPE = "multipart/form-data", "application/octet-stream"
# Key in the ASGI scope: the form of the request, whose files are discarded at its end.
FORM = "form"


@dataclass
class Form:
    """The parts of a form: texts by name, and files."""

    fields: dict[str, bytes] = field(default_factory=dict)
    files: list[ReceivedFile] = field(default_factory=list)

    async def discard(self) -> None:
        """Remove the files that were not kept."""
        for file in self.files:
            await asyncio.to_thread(file.incoming.discard)


@dataclass
class TableForm:
    """The parts of a form with a table to import: texts by name, and the table with its file name."""

    fields: dict[str, bytes] = field(default_factory=dict)
    name: str = ""
    table: ReceivedTable | None = None

    async def discard(self) -> None:
        """Remove the table, unless it was moved to where it stays."""
        if self.table is not None:
            await asyncio.to_thread(self.table.incoming.discard)


def form_of(request: Request) -> Form:
    """Return the form that the request's body was; an empty one if it was JSON."""
    return request.scope.get(FORM) or Form()


FormDep = Annotated[Form, Depends(form_of)]


def is_form(request: Request) -> bool:
    """Whether the body is a form with files."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM_TYPE


async def receive_form(request: Request, field_names: Collection[str] = ()) -> Form:
    """Receive a form with these fields and 1 to MAX_FILES files. At the end of the request, `Route` discards them."""
    if not is_form(request):
        raise UnsupportedMediaType(f"Send files as `Content-Type: {FORM_TYPE}`, in parts with the name `{FILES}`.")
    files: Files = request.app.state.files
    form = request.scope[FORM] = Form()
    limit = MAX_FILES * files.max_bytes + len(field_names) * MAX_FIELD_BYTES + OVERHEAD_BYTES
    reader = _FormReader(request, limit)
    async for part in reader.parts():
        if part.name == FILES:
            await _receive_file(request, form, part)
        elif part.name in field_names and part.name not in form.fields:
            form.fields[part.name] = await part.read(MAX_FIELD_BYTES)
        else:
            raise _unknown_part(part, (*field_names, FILES))
    return form


async def receive_table(request: Request, field_names: Collection[str], max_bytes: int) -> TableForm:
    """Receive a form with a table and these fields. `Route` discards the table at the end, unless it was moved."""
    if not is_form(request):
        raise UnsupportedMediaType(f"Send the table as `Content-Type: {FORM_TYPE}`, in a part with the name `{TABLE}`.")
    files: Files = request.app.state.files
    form = request.scope[FORM] = TableForm()
    reader = _FormReader(request, max_bytes + len(field_names) * MAX_FIELD_BYTES + OVERHEAD_BYTES)
    async for part in reader.parts():
        if part.name == TABLE and form.table is None:
            form.name = clean_name(part.file_name)
            form.table = await files.receive_table(user_of(request), part.chunks(), max_bytes)
        elif part.name in field_names and part.name not in form.fields:
            form.fields[part.name] = await part.read(MAX_FIELD_BYTES)
        else:
            raise _unknown_part(part, (*field_names, TABLE))
    return form


async def receive_file(request: Request, name: str, identity: str) -> ReceivedFile:
    """Receive a file that is the whole body."""
    files: Files = request.app.state.files
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and len(length) < 20 and int(length) > files.max_bytes:
        raise FileTooLarge(files.max_bytes)
    form = request.scope[FORM] = Form()
    received = await files.receive(user_of(request), name, request.stream(), identity)
    form.files.append(received)
    return received


async def _receive_file(request: Request, form: Form, part: "_Part") -> None:
    if len(form.files) == MAX_FILES:
        message = f"A request can have at most {MAX_FILES} files. Send the others in another one."
        raise invalid([Fault(message, "too-many", pointer=f"/{FILES}")])
    files: Files = request.app.state.files
    received = await files.receive(user_of(request), clean_name(part.file_name), part.chunks())
    form.files.append(received)
    if not part.file_name and not received.size:
        # A browser sends this for a form in which no file was chosen.
        form.files.remove(received)
        await files.run(received.incoming.discard)


class _Part:
    """A part of a form. Its bytes must be read before the next part."""

    def __init__(self, headers: dict[bytes, bytes], events: AsyncIterator["_Event"]) -> None:
        _, options = parse_options_header(headers.get(b"content-disposition", b""))
        self.name = _decode(options.get(b"name", b""))
        self.file_name = _unescape(_decode(options.get(b"filename", b"")))
        self._events = events

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Yield the bytes of the part."""
        async for event in self._events:
            if not isinstance(event, bytes):
                return
            yield event

    async def read(self, max_bytes: int) -> bytes:
        """Return the bytes of the part; raises `PayloadTooLarge`."""
        content = bytearray()
        async for chunk in self.chunks():
            content += chunk
            if len(content) > max_bytes:
                raise PayloadTooLarge
        return bytes(content)


# The headers of a part at its beginning, its bytes in pieces, and None at its end.
_Event = dict[bytes, bytes] | bytes | None


class _FormReader:
    """Splits the body of a request into parts, while it arrives."""

    def __init__(self, request: Request, max_bytes: int) -> None:
        _, options = parse_options_header(request.headers["content-type"])
        boundary = options.get(b"boundary", b"")
        callbacks = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": lambda: self._events.append(self._headers),
            "on_part_data": lambda data, start, end: self._events.append(bytes(data[start:end])),
            "on_part_end": lambda: self._events.append(None),
            "on_end": self._end,
        }
        self._request = request
        self._max_bytes = max_bytes
        self._events: deque[_Event] = deque()
        self._is_complete = False
        try:
            self._parser = MultipartParser(boundary, callbacks)  # ty: ignore[invalid-argument-type] -- its type is a TypedDict
        except FormParserError:
            raise _malformed() from None
        if not boundary:
            raise _malformed()

    async def parts(self) -> AsyncGenerator[_Part]:
        """Yield the parts; raises `BadRequest` if the body is no complete form."""
        events = self._read()
        async for event in events:
            if isinstance(event, dict):
                yield _Part(event, events)
        if not self._is_complete:
            raise _malformed()

    async def _read(self) -> AsyncGenerator[_Event]:
        received = 0
        async for chunk in self._request.stream():
            received += len(chunk)
            if received > self._max_bytes:
                raise PayloadTooLarge
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise _malformed() from None
            while self._events:
                yield self._events.popleft()

    def _begin(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = bytearray(), bytearray()

    def _end_header(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        self._is_complete = True


def _unknown_part(part: _Part, allowed: Sequence[str]) -> Invalid:
    message = f"There is no part '{part.name[:40]}' here, or it was given twice. Parts: {', '.join(allowed)}."
    return invalid([Fault(message, "unknown-part", pointer=f"/{part.name[:40]}", allowed=allowed)])


def _malformed() -> BadRequest:
    return BadRequest(f"The body is not complete {FORM_TYPE} with the boundary that Content-Type names.")


def _unescape(name: str) -> str:
    """Undo what browsers do to quotes and line breaks in a file name (WHATWG's encoding of forms)."""
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
