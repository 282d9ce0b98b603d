"""OpenAPI: what the signatures cannot say, made from the tables that the answers come from."""

from functools import cache
from typing import Any

from fastapi import Response
from pydantic import BaseModel, create_model

from machine_monitor.api import access
from machine_monitor.api.openapi.parameters import (
    changes_parameters,
    export_parameters,
    facets_parameters,
    list_parameters,
    selection_parameters,
    stats_parameters,
    vocabulary_table,
)
from machine_monitor.errors import PROBLEMS
from machine_monitor.models.bulk import BulkAnswer
from machine_monitor.models.fields import Schema
from machine_monitor.models.schemas import partial_read_schema
from machine_monitor.query.schema import Resource
from machine_monitor.services.tabular.exports import Format

PROBLEM_TYPE = "application/problem+json"
TABLE = "x-vocabulary"
ETAG = {"ETag": {"description": "The record's version, in quotes.", "schema": {"type": "string"}}}
LOCATION = {"Location": {"description": "Where the record is.", "schema": {"type": "string"}}}
DISPOSITION = {"Content-Disposition": {"description": "A name for the file.", "schema": {"type": "string"}}}
LIST_HEADERS = {
    "Link": {"description": "The pages next to this one (RFC 8288).", "schema": {"type": "string"}},
    "X-Total-Count": {"description": "How many there are, if `count` asks.", "schema": {"type": "string"}},
}
CONDITIONS = {
    "If-Match": "Only if the record still has one of these ETags; else 412.",
    "If-None-Match": "`*`: only if there is no such record yet.",
}
NOTE = {"X-Change-Note": "Why, for the history; at most 500 characters, percent-encoded UTF-8."}
RETRY = {"Idempotency-Key": "Of your own, 1 to 255 visible characters: sent again, the request gets the same answer."}
# What each verb can answer beside its success. 400 is a query string that is not UTF-8, or a body that is not JSON.
ANYWHERE = (400, 414, 500, 503)
WRITES = (*ANYWHERE, 422, 507)
BODIES = (*WRITES, 413, 415)


class Fault(BaseModel):
    """One fault of a request."""

    message: str
    code: str
    pointer: str | None = None
    parameter: str | None = None
    allowed: list[str] | None = None


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    request_id: str
    errors: list[Fault] | None = None
    current: dict[str, Any] | None = None


class FacetValue(BaseModel):
    """A value of a field, null if it has none, and how often it occurs."""

    value: str | None
    count: int


class FacetCounts(BaseModel):
    """The most frequent values of each field; `capped` names fields that only the newest logs were counted by."""

    facets: dict[str, list[FacetValue]]
    capped: list[str]


class Groups(BaseModel):
    """A group for each combination of what `group_by` names; `truncated` says that there are more."""

    groups: list[dict[str, str | float | None]]
    truncated: bool


def counted(resource: Resource) -> dict[str, Any]:
    """The decorator's arguments for facets."""
    return _summary(resource, FacetCounts, facets_parameters(resource))


def measured(resource: Resource) -> dict[str, Any]:
    """The decorator's arguments for stats."""
    return _summary(resource, Groups, stats_parameters(resource))


def _summary(resource: Resource, model: type[BaseModel], parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "response_model": model,
        "responses": problems(*ANYWHERE, 422),
        "openapi_extra": {"parameters": parameters, TABLE: vocabulary_table(resource)},
    }


def listed(resource: Resource) -> dict[str, Any]:
    """The decorator's arguments for a list."""
    told = [*([404] if resource.scope else []), *([403] if resource.soft_delete else [])]
    return {
        "response_model": _page(_part(resource)),
        "responses": {200: {"headers": LIST_HEADERS}, **problems(*ANYWHERE, 422, *told)},
        # `finish` puts the table behind the sentences of the docstring.
        "openapi_extra": {"parameters": list_parameters(resource), TABLE: vocabulary_table(resource)},
    }


def fed(resource: Resource) -> dict[str, Any]:
    """The decorator's arguments for a feed of changes."""
    sentence, items = "Changes, and the number to ask from next.", (list[resource.read], ...)
    return {
        "response_model": create_model("ChangesPage", __doc__=sentence, items=items, next=(int, ...)),
        "responses": problems(*ANYWHERE, 422),
        "openapi_extra": {"parameters": changes_parameters()},
    }


def streamed(resource: Resource) -> dict[str, Any]:
    """The decorator's arguments for a stream of changes."""
    change = {"$ref": f"#/components/schemas/{resource.read.__name__}"}
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": change}
    properties = {"event": {"const": "change"}, "id": {"type": "string", "pattern": "^[0-9]+$"}, "data": data}
    event = {"type": "object", "properties": properties, "required": [*properties]}
    content = {"text/event-stream": {"itemSchema": event}}
    last = {"Last-Event-ID": "The id of the last event that was seen."}
    return {
        "response_class": Response,
        "responses": {
            200: {"content": content, "description": f"An event for each {resource.noun}."},
            **problems(*ANYWHERE, 422),
        },
        "openapi_extra": {"parameters": [changes_parameters()[0], *_headers(last)]},
    }


def exported(resource: Resource, form: Format) -> dict[str, Any]:
    """The decorator's arguments for an export."""
    answer = {"content": {form.media_type: {"schema": {"type": "string"}}}, "headers": DISPOSITION}
    return {
        "summary": f"Export {resource.name} as {form.suffix}",
        "description": f"Every {resource.noun} that matches, as of one moment: {form.sentence}.",
        "response_class": Response,
        "responses": {200: answer, **problems(*ANYWHERE, 422)},
        "openapi_extra": {"parameters": export_parameters(resource, dialects=form.has_dialects)},
    }


def created(resource: Resource) -> dict[str, Any]:
    """The decorator's arguments for a POST that creates."""
    return {
        "status_code": 201,
        "response_model": resource.read,
        "responses": {201: {"headers": {**ETAG, **LOCATION}}, **problems(*BODIES, 409)},
        "openapi_extra": {"parameters": _headers({**RETRY, **NOTE})},
    }


def put_together() -> dict[str, Any]:
    """The decorator's arguments for a bulk call."""
    return {
        "response_model": BulkAnswer,
        "responses": problems(*BODIES, 409),
        "openapi_extra": {"parameters": _headers({**RETRY, **NOTE})},
    }


def read(resource: Resource) -> dict[str, Any]:
    """The decorator's arguments for a GET of one record."""
    not_modified = {304: {"description": "The ETag in `If-None-Match` is still the record's.", "headers": ETAG}}
    gone = [410] if resource.soft_delete else []
    return {
        "response_model": _part(resource),
        "responses": {200: {"headers": ETAG}, **not_modified, **problems(*ANYWHERE, 404, 412, 422, *gone)},
        "openapi_extra": {"parameters": selection_parameters(resource)},
    }


def replaced(resource: Resource) -> dict[str, Any]:
    """The decorator's arguments for a PUT."""
    gone = [410] if resource.soft_delete else []
    new = {201: {"model": resource.read, "description": "Created", "headers": {**ETAG, **LOCATION}}}
    return {
        "response_model": resource.read,
        "responses": {200: {"headers": ETAG}, **new, **problems(*BODIES, 409, 412, 428, *gone)},
        "openapi_extra": {"parameters": _headers({**CONDITIONS, **NOTE})},
    }


def updated(resource: Resource) -> dict[str, Any]:
    """The decorator's arguments for a PATCH."""
    gone = [410] if resource.soft_delete else []
    return {
        "response_model": resource.read,
        "responses": {200: {"headers": ETAG}, **problems(*BODIES, 404, 409, 412, 428, *gone)},
        "openapi_extra": {"parameters": _headers({**CONDITIONS, **NOTE})},
    }


def restored(resource: Resource) -> dict[str, Any]:
    """The decorator's arguments for bringing a deleted record back."""
    return {
        "response_model": resource.read,
        "responses": {200: {"headers": ETAG}, **problems(*WRITES, 404, 409, 412)},
        "openapi_extra": {"parameters": _headers({**CONDITIONS, **NOTE})},
    }


def deleted(resource: Resource) -> dict[str, Any]:
    """The decorator's arguments for a DELETE."""
    gone = [410] if resource.soft_delete else [409]
    return {
        "status_code": 204,
        "responses": problems(*WRITES, 404, 412, 428, *gone),
        "openapi_extra": {"parameters": _headers({**CONDITIONS, **NOTE})},
    }


def selected(resource: Resource) -> dict[str, Any]:
    """The decorator's arguments for a GET of one record that has no version."""
    return {
        **answered(_part(resource), *ANYWHERE, 404, 422),
        "openapi_extra": {"parameters": selection_parameters(resource)},
    }


def answered(model: Any, *refused: int, status: int = 200) -> dict[str, Any]:
    """The decorator's arguments for what is no record: the shape of its answer, the statuses of its problems."""
    return {"status_code": status, "response_model": model, "responses": problems(*refused)}


def finish(document: dict[str, Any]) -> dict[str, Any]:
    """Complete FastAPI's document: merge patches have a media type of their own, problems have theirs."""
    for path in document["paths"].values():
        for method, operation in path.items():
            operation["description"] = operation.get("description", "") + operation.pop(TABLE, "")
            if method == "patch":
                content = operation["requestBody"]["content"]
                content["application/merge-patch+json"] = content["application/json"]
            # FastAPI's own 422, where an operation has none.
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
            for status, response in operation["responses"].items():
                if status >= "400" and "content" in response:
                    response["content"] = {PROBLEM_TYPE: next(iter(response["content"].values()))}
    document["components"]["securitySchemes"] = access.SCHEMES
    document["components"]["schemas"].pop("HTTPValidationError", None)
    document["components"]["schemas"].pop("ValidationError", None)
    return document


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of these statuses."""
    return {status: {"model": Problem, "description": _titles(status)} for status in sorted(set(statuses))}


def _titles(status: int) -> str:
    codes = [problem for problem in PROBLEMS.values() if problem.status == status]
    return " · ".join(f"`{problem.code}`: {problem.title}" for problem in codes)


def _headers(sentences: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "description": sentence, "schema": {"type": "string"}}
        for name, sentence in sentences.items()
    ]


def _part(resource: Resource) -> type[Schema]:
    return partial_read_schema(resource.read, expandable=bool(resource.expandable))


@cache
def _page(part: type[Schema]) -> type[BaseModel]:
    """The schema of a list's page."""
    return create_model(
        f"{part.__name__.removesuffix('Part')}Page",
        __doc__="One page of a list.",
        items=(list[part], ...),
        next=(str | None, ...),
        previous=(str | None, ...),
        total=(int | None, ...),
        total_capped=(bool, ...),
    )
