"""OpenAPI of uploads and downloads: bodies that are forms or files, and responses that are bytes."""

from typing import Any

from fastapi import Response

from machine_monitor.api.openapi.documents import (
    ANYWHERE,
    BODIES,
    DISPOSITION,
    ETAG,
    NOTE,
    WRITES,
    headers,
    problem_responses,
)
from machine_monitor.query.schema import Resource

BINARY = {"type": "string", "format": "binary"}
FILES_PART = {
    "type": "array",
    "items": BINARY,
    "minItems": 1,
    "maxItems": 10,
    "description": "The files, each with its name.",
}
CONDITION = {"If-Match": "Write only if the record still has one of these ETags; otherwise 412."}
RANGE = {
    "Range": "One range of bytes, such as `bytes=0-1023`.",
    "If-Range": "The ETag of the file that the range belongs to; of another one, the whole file is sent.",
    "If-None-Match": "The ETag of a copy that you have: 304 if it is the same file.",
}
DIGEST_TAG = {"ETag": {"description": "The SHA-256 digest of the bytes, in quotes.", "schema": {"type": "string"}}}


def with_form(operation: dict[str, Any]) -> dict[str, Any]:
    """Add to an operation with a JSON body that it also takes a form: this body as a part, and files."""
    schema = {
        "type": "object",
        "required": ["log"],
        "properties": {"log": {"$ref": "#/components/schemas/LogCreate"}, "files": FILES_PART},
    }
    form = {"schema": schema, "encoding": {"log": {"contentType": "application/json"}}}
    extra = {**operation["openapi_extra"], "requestBody": {"content": {"multipart/form-data": form}}}
    return {**operation, "openapi_extra": extra}


def upload_form_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of adding the files of a form to a record."""
    schema = {"type": "object", "required": ["files"], "properties": {"files": FILES_PART}}
    operation = _upload(resource, {"multipart/form-data": {"schema": schema}})
    created = {201: {"description": "The record with its new files.", "headers": ETAG}}
    return {**operation, "status_code": 201, "responses": {**created, **operation["responses"]}}


def upload_file_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of adding a file that is the whole body to a record."""
    operation = _upload(resource, {"application/octet-stream": {"schema": BINARY}})
    name = {
        "name": "name",
        "in": "query",
        "required": False,
        "description": "The file name. Folders and characters that cannot be printed are left out.",
        "schema": {"type": "string"},
        "example": "photo.jpg",
    }
    operation["openapi_extra"]["parameters"].append(name)
    same = {200: {"description": "The record had this file already.", "headers": ETAG}}
    new = {201: {"description": "The record with its new file.", "model": resource.read, "headers": ETAG}}
    return {**operation, "responses": {**same, **new, **operation["responses"]}}


def rename_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of renaming a file of a record."""
    operation = _write(resource, *BODIES)
    return {**operation, "responses": {200: {"headers": ETAG}, **operation["responses"]}}


def removal_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of removing a file from a record."""
    operation = _write(resource, *WRITES)
    removed = {204: {"description": "The file was removed. The ETag is that of the record.", "headers": ETAG}}
    return {
        "status_code": 204,
        "responses": {**removed, **operation["responses"]},
        "openapi_extra": operation["openapi_extra"],
    }


def download_operation() -> dict[str, Any]:
    """Decorator arguments of a download."""
    # Most files have a type of their own.
    content = {media_type: {"schema": BINARY} for media_type in ("application/octet-stream", "*/*")}
    described = {"content": content, "headers": {**DIGEST_TAG, **DISPOSITION}}
    return {
        "response_class": Response,
        "responses": {
            200: {**described, "description": "The file."},
            206: {**described, "description": "The range of the file."},
            304: {"description": "Not modified: this is the file that you have.", "headers": DIGEST_TAG},
            **problem_responses(*ANYWHERE, 404, 410, 416, 422),
        },
        "openapi_extra": {"parameters": headers(RANGE)},
    }


def preview_operation() -> dict[str, Any]:
    """Decorator arguments of a preview."""
    size = {
        "name": "size",
        "in": "query",
        "required": False,
        "description": "The largest width and height, in pixels. Default: 320.",
        "schema": {"type": "integer", "enum": [320, 1280]},
    }
    operation = download_operation()
    image = {"content": {"image/jpeg": {"schema": BINARY}}, "description": "The preview."}
    replaced = {200: {**operation["responses"][200], **image}, 206: {**operation["responses"][206], **image}}
    return {
        **operation,
        "responses": {**operation["responses"], **replaced},
        "openapi_extra": {"parameters": [size, *operation["openapi_extra"]["parameters"]]},
    }


def _upload(resource: Resource, content: dict[str, Any]) -> dict[str, Any]:
    operation = _write(resource, *BODIES)
    operation["openapi_extra"]["requestBody"] = {"required": True, "content": content}
    return operation


def _write(resource: Resource, *refused: int) -> dict[str, Any]:
    gone = [410] if resource.soft_delete else []
    return {
        "response_model": resource.read,
        "responses": problem_responses(*refused, 404, 409, 412, *gone),
        "openapi_extra": {"parameters": headers({**CONDITION, **NOTE})},
    }
