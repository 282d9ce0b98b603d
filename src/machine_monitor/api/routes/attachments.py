"""Attachments: files of logs and machines."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from machine_monitor.api import downloads, responses
from machine_monitor.api.access import needs, user_of
from machine_monitor.api.deps import Db, NoParameters
from machine_monitor.api.openapi.files import (
    download_operation,
    preview_operation,
    removal_operation,
    rename_operation,
    upload_file_operation,
    upload_form_operation,
)
from machine_monitor.api.route import create_router
from machine_monitor.api.serving import metrics, uploads
from machine_monitor.api.writing import NamedWrite, Write
from machine_monitor.errors import Fault, FileMissing, NotFound, invalid
from machine_monitor.models import LOGS, MACHINES
from machine_monitor.models.attachment import AttachmentRename, clean_name
from machine_monitor.models.fields import Name, Uuid, is_uuid
from machine_monitor.query.language.parser import parse_query_string, unexpected_parameters
from machine_monitor.query.schema import Resource
from machine_monitor.services.access.permissions import EDIT_LOG, EDIT_MACHINE, READ
from machine_monitor.services.files import attachments, previews
from machine_monitor.services.files.attachments import StoredAttachment
from machine_monitor.services.files.previews import Size
from machine_monitor.services.files.receiving import problem_of
from machine_monitor.services.records import WriteResult
from machine_monitor.services.records.preconditions import etag

router = create_router("attachments")
# Images that every browser shows, and in which nothing can run. Everything else is a download.
SHOWN = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp", "image/avif"})
# The media types that a browser may run. These files are sent as bytes of no type.
_ACTIVE = re.compile(r"html|[/+]xml$|script$")
SIZES: dict[str, Size] = {"320": 320, "1280": 1280}
NO_PREVIEW = "There is no preview of this file: it is no image, or one that is damaged or too large."


def file_name_of(request: Request) -> str:
    """Return the query parameter `name`, as a file name; raises `Invalid` if it is given twice."""
    given = [value for name, value in parse_query_string(request.scope["query_string"]) if name == "name"]
    if len(given) > 1:
        raise invalid([Fault("'name' may be given once.", parameter="name")])
    return clean_name(given[0] if given else "")


def preview_size_of(request: Request) -> Size:
    """Return the query parameter `size`; raises `Invalid`."""
    pairs = parse_query_string(request.scope["query_string"])
    faults = unexpected_parameters([pair for pair in pairs if pair[0] != "size"])
    given = [value for name, value in pairs if name == "size"] or [str(previews.SMALL)]
    if len(given) > 1 or given[0] not in SIZES:
        message = f"'size' must be given once, as one of {', '.join(SIZES)}."
        faults.append(Fault(message, parameter="size", allowed=[*SIZES]))
    if faults:
        raise invalid(faults)
    return SIZES[given[0]]


FileNameDep = Annotated[str, Depends(file_name_of)]
PreviewSize = Annotated[Size, Depends(preview_size_of)]


@router.post("/logs/{uuid}/attachments", dependencies=[needs(EDIT_LOG)], **upload_form_operation(LOGS))
async def add_log_attachments(request: Request, uuid: Uuid, write: Write) -> Response:
    """Add files to an intervention. A form with 1 to 10 parts `files`.

    The response is the intervention with all its attachments. For an upload whose retry adds nothing twice, use PUT.
    """
    return await _add_form(request, write, LOGS, uuid)


@router.put("/logs/{uuid}/attachments/{id}", dependencies=[needs(EDIT_LOG)], **upload_file_operation(LOGS))
async def put_log_attachment(
    request: Request, uuid: Uuid, id: Uuid, file_name: FileNameDep, write: NamedWrite
) -> Response:
    """Add a file to an intervention under a UUID that you choose. The body is the file; retries are safe."""
    return await _put_file(request, write, (LOGS, uuid), (id, file_name))


@router.patch("/logs/{uuid}/attachments/{id}", dependencies=[needs(EDIT_LOG)], **rename_operation(LOGS))
async def update_log_attachment(uuid: Uuid, id: Uuid, body: AttachmentRename, write: Write) -> Response:
    """Rename a file of an intervention."""
    return responses.write_response("/logs", await write.rename_attachment(LOGS, uuid, id, body.name))


@router.delete("/logs/{uuid}/attachments/{id}", dependencies=[needs(EDIT_LOG)], **removal_operation(LOGS))
async def delete_log_attachment(uuid: Uuid, id: Uuid, write: Write) -> Response:
    """Remove a file from an intervention. The user who added it can, for 24 hours, and supervisors."""
    return _removal_response(await write.remove_attachment(LOGS, uuid, id))


@router.post("/machines/{name}/attachments", dependencies=[needs(EDIT_MACHINE)], **upload_form_operation(MACHINES))
async def add_machine_attachments(request: Request, name: Name, write: Write) -> Response:
    """Add files to a machine, such as a picture or the manual. A form with 1 to 10 parts `files`.

    The response is the machine with all its attachments.
    """
    return await _add_form(request, write, MACHINES, name)


@router.put("/machines/{name}/attachments/{id}", dependencies=[needs(EDIT_MACHINE)], **upload_file_operation(MACHINES))
async def put_machine_attachment(
    request: Request, name: Name, id: Uuid, file_name: FileNameDep, write: NamedWrite
) -> Response:
    """Add a file to a machine under a UUID that you choose. The body is the file; retries are safe."""
    return await _put_file(request, write, (MACHINES, name), (id, file_name))


@router.patch("/machines/{name}/attachments/{id}", dependencies=[needs(EDIT_MACHINE)], **rename_operation(MACHINES))
async def update_machine_attachment(name: Name, id: Uuid, body: AttachmentRename, write: Write) -> Response:
    """Rename a file of a machine."""
    return responses.write_response("/machines", await write.rename_attachment(MACHINES, name, id, body.name))


@router.delete("/machines/{name}/attachments/{id}", dependencies=[needs(EDIT_MACHINE)], **removal_operation(MACHINES))
async def delete_machine_attachment(name: Name, id: Uuid, write: Write) -> Response:
    """Remove a file from a machine. The user who added it can, for 24 hours, and supervisors."""
    return _removal_response(await write.remove_attachment(MACHINES, name, id))


@router.get("/attachments/{id}", dependencies=[needs(READ)], **download_operation())
async def get_attachment(request: Request, id: Uuid, database: Db, _: NoParameters) -> Response:
    """Download a file, as it was uploaded. Ranges are supported; 410 if its record was deleted.

    Browsers show usual images, and save everything else.
    """
    found = await attachments.find(database, id)
    is_shown = found.media_type in SHOWN and found.width is not None
    headers = {
        "ETag": f'"{found.sha256}"',
        "Content-Disposition": downloads.disposition(found.name, inline=is_shown),
    }
    store = request.app.state.files.store
    return await _send(request, lambda: store.open(found.sha256), _sent_type(found), headers)


@router.get("/attachments/{id}/preview", dependencies=[needs(READ)], **preview_operation())
async def get_attachment_preview(request: Request, id: Uuid, size: PreviewSize, database: Db) -> Response:
    """Read a small picture of an image, at most `size` pixels wide and high.

    Upright, and without metadata such as the place. 404 if the file is no image, or one that cannot be decoded safely.
    """
    found = await attachments.find(database, id)
    with _store_errors():
        path = await _find_preview(request, found, size)
    if path is None:
        raise NotFound(NO_PREVIEW)
    headers = {
        "ETag": f'"{found.sha256}-{size}"',
        "Content-Disposition": downloads.disposition(f"{Path(found.name).stem}-{size}.jpg", inline=True),
    }
    return await _send(request, lambda: path.open("rb"), previews.MEDIA_TYPE, headers)


async def _find_preview(request: Request, found: StoredAttachment, size: Size) -> Path | None:
    if found.width is None:
        return None
    return await request.app.state.files.previews.find(user_of(request), found.sha256, size)


@contextmanager
def _store_errors() -> Generator[None]:
    """Turn the errors of the file store into problems."""
    try:
        yield
    except FileNotFoundError:
        raise FileMissing from None
    except OSError as error:
        raise problem_of(error) from error


async def _send(request: Request, open_file: Any, media_type: str, headers: dict[str, str]) -> Response:
    if downloads.is_unchanged(request, headers["ETag"]):
        return Response(status_code=304, headers={"ETag": headers["ETag"]})
    with _store_errors():
        return await downloads.file_response(request, open_file, media_type, headers)


def _sent_type(found: StoredAttachment) -> str:
    if _ACTIVE.search(found.media_type):
        return uploads.FILE_TYPE
    return f"{found.media_type}; charset=utf-8" if found.media_type == "text/plain" else found.media_type


async def _add_form(request: Request, write: Write, resource: Resource, key: str) -> Response:
    await write.require_attachable(resource, key)
    form = await uploads.receive_form(request)
    if not form.files:
        message = f"Send 1 to {uploads.MAX_FILES} files, in parts with the name '{uploads.FILES}'."
        raise invalid([Fault(message, "required", pointer=f"/{uploads.FILES}")])
    result = await write.attach(resource, key, form.files)
    _count(form)
    return _upload_response(result, 201)


async def _put_file(
    request: Request, write: NamedWrite, record: tuple[Resource, str], file: tuple[str, str]
) -> Response:
    identity, name = file
    if not is_uuid(identity):
        raise invalid([Fault("The id of an attachment must be a UUID.", parameter="id")])
    await write.require_attachable(*record, 0)
    received = await uploads.receive_file(request, name, identity.lower())
    result = await write.attach(*record, [received])
    _count(uploads.form_of(request))
    return _upload_response(result, 201 if result.created else 200)


def _count(form: uploads.Form) -> None:
    for file in form.files:
        metrics.UPLOADS.inc()
        metrics.UPLOADED_BYTES.inc(file.size)


def _upload_response(result: WriteResult, status: int) -> Response:
    return Response(result.record.body, status, {"ETag": etag(result.version)}, responses.JSON)


def _removal_response(result: WriteResult) -> Response:
    return Response(status_code=204, headers={"ETag": etag(result.version)})
