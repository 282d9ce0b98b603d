"""OpenAPI of mappings and imports: bodies that are mappings, and forms with a table."""

from typing import Any

from fastapi import Response

from machine_monitor.api.openapi.documents import (
    ANYWHERE,
    BODIES,
    CONDITIONS,
    DISPOSITION,
    ETAG,
    LOCATION,
    WRITES,
    headers,
    problem_responses,
)
from machine_monitor.api.openapi.files import BINARY
from machine_monitor.models.imports.import_documents import ImportDetail, ImportProgress
from machine_monitor.models.imports.saved_mapping import IMPORTED
from machine_monitor.services.imports.mapping import TableMapping

REF = "#/components/schemas/"
MAPPING = {"application/json": {"schema": {"$ref": f"{REF}Mapping"}}}
PROPOSAL = {
    "type": "object",
    "required": ["read"],
    "additionalProperties": False,
    "properties": {
        "read": {"$ref": f"{REF}MappingReadRules", "description": "How to read the file; the rest is recognised."},
    },
}
DESCRIPTIONS = {"unknown_machine": "machine", "unknown_type": "log type", "unknown_user": "user"}


def mapping_schemas() -> dict[str, Any]:
    """Return the JSON Schemas of a mapping and its parts, by name."""
    document = TableMapping.model_json_schema(by_alias=True, ref_template=f"{REF}Mapping{{model}}")
    parts = {f"Mapping{name}": part for name, part in document.pop("$defs").items()}
    # The address has the name, too.
    document["required"].remove("name")
    found = {"Mapping": document, "MappingProposal": PROPOSAL, **parts}
    for schema in found.values():
        _complete(schema)
    return found


def _complete(schema: dict[str, Any]) -> None:
    """Say defaults in words, as in other bodies, and drop titles, which repeat the names."""
    for part in (schema, *schema.get("anyOf", ())):
        part.pop("title", None)
        for name, field in part.get("properties", {}).items():
            field.pop("title", None)
            default, described = field.pop("default", None), field.get("description")
            described = described or f"What the name of a {DESCRIPTIONS.get(name, name)} that does not exist does."
            field["description"] = described if default is None else f"{described} Default: {_default_text(default)}."


def _default_text(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def read_mapping_operation() -> dict[str, Any]:
    """Decorator arguments of a GET of a mapping."""
    unchanged = {304: {"description": "Not modified: the mapping still has the ETag in `If-None-Match`."}}
    return {
        "responses": {
            200: {"description": "The mapping.", "content": MAPPING, "headers": ETAG},
            **unchanged,
            **problem_responses(*ANYWHERE, 404, 412, 422),
        },
    }


def replace_mapping_operation() -> dict[str, Any]:
    """Decorator arguments of a PUT of a mapping."""
    return {
        "responses": {
            200: {"description": "The mapping.", "content": MAPPING, "headers": ETAG},
            201: {"description": "Created.", "content": MAPPING, "headers": {**ETAG, **LOCATION}},
            **problem_responses(*BODIES, 409, 412, 428),
        },
        "openapi_extra": {
            "requestBody": {"required": True, "content": dict(MAPPING)},
            "parameters": headers(CONDITIONS),
        },
    }


def delete_mapping_operation() -> dict[str, Any]:
    """Decorator arguments of a DELETE of a mapping."""
    return {
        "status_code": 204,
        "responses": problem_responses(*WRITES, 404, 412, 428),
        "openapi_extra": {"parameters": headers(CONDITIONS)},
    }


def create_import_operation() -> dict[str, Any]:
    """Decorator arguments of uploading a table."""
    mapping = {
        "description": "A mapping as JSON, or the name of a saved mapping.",
        "anyOf": [{"type": "string"}, MAPPING["application/json"]["schema"]],
    }
    resource = {"type": "string", "enum": list(IMPORTED.choices), "description": "What the rows become."}
    table = {**BINARY, "description": "The table."}
    properties = {"file": table, "mapping": mapping, "resource": resource}
    form = {
        "schema": {"type": "object", "required": ["file"], "properties": properties},
        "encoding": {"mapping": {"contentType": "application/json, text/plain"}},
    }
    return {
        "status_code": 201,
        "response_model": ImportDetail,
        "responses": {201: {"headers": LOCATION}, **problem_responses(*BODIES)},
        "openapi_extra": {"requestBody": {"required": True, "content": {"multipart/form-data": form}}},
    }


def read_import_operation() -> dict[str, Any]:
    """Decorator arguments of a GET of an import."""
    return {"response_model": ImportDetail, "responses": problem_responses(*ANYWHERE, 404, 422)}


def follow_import_operation() -> dict[str, Any]:
    """Decorator arguments of a stream of the progress of an import."""
    described = "Events named `progress`. The `data` is an ImportProgress as JSON."
    content = {"text/event-stream": {"schema": {"type": "string", "description": described}}}
    success = {"content": content, "description": "The progress, each time that it changes."}
    return {
        "response_class": Response,
        "responses": {200: success, **problem_responses(*ANYWHERE, 404, 422, 429)},
    }


def update_import_operation() -> dict[str, Any]:
    """Decorator arguments of a PUT of the mapping of an import."""
    return {
        "response_model": ImportDetail,
        "responses": problem_responses(*BODIES, 404, 409),
        "openapi_extra": {"requestBody": {"required": True, "content": dict(MAPPING)}},
    }


def propose_operation() -> dict[str, Any]:
    """Decorator arguments of reading an import in another way."""
    body = {"application/json": {"schema": {"$ref": f"{REF}MappingProposal"}}}
    return {
        "response_model": ImportDetail,
        "responses": problem_responses(*BODIES, 404, 409),
        "openapi_extra": {"requestBody": {"required": True, "content": body}},
    }


def start_operation() -> dict[str, Any]:
    """Decorator arguments of beginning to work on an import."""
    return {
        "status_code": 202,
        "response_model": ImportProgress,
        "responses": problem_responses(*WRITES, 404, 409),
    }


def rejected_rows_operation() -> dict[str, Any]:
    """Decorator arguments of downloading refused rows."""
    content = {media_type: {"schema": BINARY} for media_type in ("text/csv", "application/x-ndjson")}
    return {
        "response_class": Response,
        "responses": {
            200: {"content": content, "headers": DISPOSITION, "description": "The refused rows."},
            206: {"content": content, "headers": DISPOSITION, "description": "The range of the file."},
            **problem_responses(*ANYWHERE, 404, 416, 422),
        },
    }
