"""Imports of uploaded tables: upload, preview, apply, undo."""

import json
from typing import Annotated, Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from machine_monitor.api import bodies, downloads, responses
from machine_monitor.api.access import caller_of, has_ended, needs
from machine_monitor.api.deps import Db, NoParameters, list_query_of
from machine_monitor.api.openapi.documents import list_operation
from machine_monitor.api.openapi.imports import (
    create_import_operation,
    follow_import_operation,
    propose_operation,
    read_import_operation,
    rejected_rows_operation,
    start_operation,
    update_import_operation,
)
from machine_monitor.api.route import create_router
from machine_monitor.api.serving import uploads
from machine_monitor.api.serving.stream_limits import event_stream
from machine_monitor.errors import Fault, Forbidden, Invalid, NotFound, Problem, invalid
from machine_monitor.models import FILE_IMPORTS
from machine_monitor.models.fields import Uuid
from machine_monitor.models.imports.saved_mapping import IMPORTED
from machine_monitor.query import lists
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.services.access.permissions import IMPORT, SEE_IMPORTS
from machine_monitor.services.imports import saved_mappings
from machine_monitor.services.imports.uploads import progress
from machine_monitor.services.imports.uploads.imports import Imports, Source

router = create_router("imports")
MAX_BYTES = 300_000_000
FIELDS = ("mapping", "resource")
NO_FILE = "Send the table in a part with the name `file`."
NO_REJECTED = "There is no file of refused rows: the import has refused none, was not applied, or is older than a day."
# How the file of refused rows is called and sent, by the format of the table.
REJECTED = {"ndjson": ("ndjson", "application/x-ndjson")}


@router.post("/imports", dependencies=[needs(IMPORT)], **create_import_operation())
async def create_import(request: Request, _none: NoParameters, database: Db) -> Response:
    """Upload a table, and see what an import of it would do. Nothing is written yet.

    A form with a part `file` (CSV, TSV, XLSX, XLS, ODS, NDJSON, also as .gz or .xz; at most 300 MB and 1,000,000
    rows), and `mapping`: a mapping as JSON, or the name of a saved one. Without a mapping, a table with columns of
    this product needs none, and any other gets a proposed one. `resource` says what the rows become.
    The folder of the legacy tool as .zip, and its SQLite file, take neither of them.

    The response has the columns, the mapping, and the preview. If the preview takes more than 20 seconds, the state is
    `reading`: read the import until it is `ready`. The file is kept for 24 hours.
    """
    form = await uploads.receive_table(request, FIELDS, MAX_BYTES)
    if form.table is None:
        raise invalid([Fault(NO_FILE, "required", pointer=f"/{uploads.TABLE}")])
    try:
        source = await _source(database, form.fields)
        found = await _imports(request).create(form.name, form.table, source, caller_of(request))
    except (Invalid, Forbidden) as problem:
        raise _in_form(problem) from None
    return JSONResponse(found, 201, {"Location": f"/imports/{found['id']}"})


@router.get("/imports", dependencies=[needs(SEE_IMPORTS)], **list_operation(FILE_IMPORTS, conditional=False))
async def list_imports(
    request: Request, query: Annotated[ListQuery, list_query_of(FILE_IMPORTS)], database: Db
) -> Response:
    """List imports, the newest first. Read one for its preview or report."""
    return responses.page_response(request, await lists.fetch(database, query))


@router.get("/imports/{id}", dependencies=[needs(SEE_IMPORTS)], **read_import_operation())
async def get_import(request: Request, id: Uuid, _none: NoParameters) -> Response:  # noqa: A002 -- the contract's name of it
    """Read an import: its state and progress, its preview, and at the end its report."""
    return JSONResponse(await _imports(request).read(id))


@router.get("/imports/{id}/events", dependencies=[needs(SEE_IMPORTS)], **follow_import_operation())
async def follow_import(request: Request, id: Uuid, _none: NoParameters, database: Db) -> Response:  # noqa: A002 -- the contract's name of it
    """Follow the progress of an import as server-sent events.

    They are named `progress`. The first one comes at once; the stream ends when the service does not work on the import
    any more, or when the credential ends. It counts among the streams of `/events`.
    """
    events = progress.stream_progress(database, id, lambda: has_ended(request))
    return event_stream(request, events)


@router.put("/imports/{id}/mapping", dependencies=[needs(IMPORT)], **update_import_operation())
async def replace_import_mapping(request: Request, id: Uuid, _none: NoParameters) -> Response:  # noqa: A002 -- the contract's name of it
    """Preview an import with another mapping, without uploading the file again. The body is the mapping.

    If the mapping does not fit the table, that is 422, and the import keeps the mapping and the preview that it has.
    """
    mapping = await bodies.read_json(request, saved_mappings.validate)
    return JSONResponse(await _imports(request).preview_again(id, mapping, caller_of(request)))


@router.post("/imports/{id}/proposal", dependencies=[needs(IMPORT)], **propose_operation())
async def propose_import_mapping(request: Request, id: Uuid, _none: NoParameters) -> Response:  # noqa: A002 -- the contract's name of it
    """Read the file in another way, such as with another delimiter, and get a new proposal of a mapping.

    The body is `read`, as in a mapping; what it leaves out is recognised. If the file cannot be read so, that is 422,
    and the import keeps the mapping and the preview that it has. A proposal that does not fit the table has no preview:
    `problem` says what to correct.
    """
    read = await bodies.read_json(request, saved_mappings.validate_read)
    return JSONResponse(await _imports(request).propose_again(id, read, caller_of(request)))


@router.post("/imports/{id}/apply", dependencies=[needs(IMPORT)], **start_operation())
async def apply_import(request: Request, id: Uuid, _none: NoParameters) -> Response:  # noqa: A002 -- the contract's name of it
    """Import the table. It runs in the background: read the import for its progress, and its report at the end.

    Rows are written in transactions of 2,000, which readers see; others write between them. If the import fails, or
    the service stops, what was written is undone. To apply an import again that is being applied, or was, does nothing.
    """
    return _progress(await _imports(request).apply(id, caller_of(request)))


@router.post("/imports/{id}/undo", dependencies=[needs(IMPORT)], **start_operation())
async def undo_import(request: Request, id: Uuid, _none: NoParameters) -> Response:  # noqa: A002 -- the contract's name of it
    """Undo an import, in the background. The logs that it made are deleted, and others get their former values.

    What others have changed since stays, and so do machines, types and users that the import made: `undone` lists
    them. A later import of the same rows restores the logs.
    """
    return _progress(await _imports(request).undo(id, caller_of(request)))


@router.get("/imports/{id}/rejected.csv", dependencies=[needs(SEE_IMPORTS)], **rejected_rows_operation())
async def download_rejected_rows(request: Request, id: Uuid, _none: NoParameters) -> Response:  # noqa: A002 -- the contract's name of it
    """Download the rows that an import has refused, with a last column that says why. Fix them, and import this file.

    The file has the columns, the delimiter and the encoding of the table; of NDJSON it is NDJSON.
    """
    found = await _imports(request).find_rejected_rows(id)
    if found is None:
        raise NotFound(NO_REJECTED)
    suffix, media_type = REJECTED.get(found.format, ("csv", f"text/csv; charset={found.encoding}"))
    name = f"{found.folder.name.partition('.')[0]}-rejected.{suffix}"
    headers = {"Content-Disposition": downloads.disposition(name, inline=False), "ETag": found.etag}
    return await downloads.file_response(request, lambda: found.folder.rejected.open("rb"), media_type, headers)


def _imports(request: Request) -> Imports:
    return request.app.state.imports


async def _source(database: Db, fields: dict[str, bytes]) -> Source:
    """Read the fields of the form; raises `Invalid`."""
    resource = fields["resource"].decode(errors="replace").strip() if "resource" in fields else None
    if resource is not None and resource not in IMPORTED.choices:
        message = f"'resource' must be one of {', '.join(IMPORTED.choices)}."
        raise invalid([Fault(message, "other-resource", "/resource", allowed=IMPORTED.choices)])
    given = fields.get("mapping", b"").strip()
    if not given:
        return Source(None, resource)
    if not given.startswith(b"{"):
        name = given.decode(errors="replace")
        try:
            return Source(json.loads((await saved_mappings.read(database, name)).body), resource)
        except NotFound as unknown:
            raise invalid([Fault(unknown.detail, "unknown-mapping")]) from None
    document = await database.compute(bodies.parse_json, given)
    if resource is not None:
        document = {"resource": resource, **document}
    await database.compute(saved_mappings.validate, document)
    return Source(document, resource)


def _in_form(problem: Invalid | Forbidden) -> Problem:
    """Return a problem with pointers into the form: those of a mapping are below its part."""
    faults = [fault if _is_of_form(fault) else _in_mapping(fault) for fault in problem.faults]
    return invalid(faults) if isinstance(problem, Invalid) else Forbidden(problem.detail, faults)


def _is_of_form(fault: Fault) -> bool:
    return fault.pointer == f"/{uploads.TABLE}" or fault.code == "other-resource"


def _in_mapping(fault: Fault) -> Fault:
    return Fault(fault.message, fault.code, f"/mapping{fault.pointer or ''}", allowed=fault.allowed)


def _progress(found: dict[str, Any]) -> Response:
    return JSONResponse({name: found[name] for name in ("id", "state", "done", "total")}, 202)
