"""OpenAPI: what FastAPI cannot derive from signatures, generated from the same tables as the responses."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from fastapi import Response
from pydantic import BaseModel, create_model

from machine_monitor.api.openapi.parameters import (
    changes_parameters,
    export_parameters,
    facets_parameters,
    list_parameters,
    pareto_parameters,
    reliability_parameters,
    report_parameters,
    selection_parameters,
    stats_parameters,
)
from machine_monitor.api.openapi.response_models import FacetCounts, Groups, Pareto, Problem, ReliabilityGroups
from machine_monitor.errors import PROBLEMS
from machine_monitor.models.bulk import BulkAnswer
from machine_monitor.models.fields import Schema
from machine_monitor.models.schemas import partial_read_schema
from machine_monitor.query.schema import Resource
from machine_monitor.services.tabular.exports import Format

ETAG = {
    "ETag": {
        "description": "The record's version, in quotes. Send it as `If-Match` to change this version.",
        "schema": {"type": "string"},
    }
}
WARNING = {
    "Warning": {
        "description": "A sentence about a record that is valid but probably wrong, such as a log that is done while "
        'its stop has no end: `299 - "..."`. A bulk write counts the items and names the first ones.',
        "schema": {"type": "string"},
    }
}
LOCATION = {"Location": {"description": "The URL of the record.", "schema": {"type": "string"}}}
DISPOSITION = {"Content-Disposition": {"description": "The suggested file name.", "schema": {"type": "string"}}}
LIST_HEADERS = {
    "Link": {"description": "The next and the previous page (RFC 8288).", "schema": {"type": "string"}},
    "X-Total-Count": {
        "description": "The number of matching records, if `count` requests it.",
        "schema": {"type": "string"},
    },
}
STATE_TAG = {
    "ETag": {
        "description": "The state of all records. Send it as `If-None-Match`: the response is 304 until something else "
        "is recorded. A response that depends on the current time has none.",
        "schema": {"type": "string"},
    }
}
UNCHANGED = {
    304: {"description": "Not modified: nothing was recorded since the response with this ETag.", "headers": STATE_TAG}
}
CONDITIONS = {
    "If-Match": "Write only if the record still has one of these ETags; otherwise 412.",
    "If-None-Match": "`*`: write only if the record does not exist yet; otherwise 412.",
}
NOTE = {"X-Change-Note": "Why the record is changed, for its history: at most 500 characters, percent-encoded UTF-8."}
RETRY = {
    "Idempotency-Key": "Makes a retry safe: a key that you choose, 1 to 255 printable ASCII characters. "
    "The same request with the same key is executed once, and a retry gets the first response."
}
# The error statuses of each kind of operation. 400: a query string that is not UTF-8, or a body that is not JSON.
ANYWHERE = (400, 414, 500, 503)
WRITES = (*ANYWHERE, 422, 507)
BODIES = (*WRITES, 413, 415)


def facets_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of facets."""
    return _summary(FacetCounts, facets_parameters(resource), conditional=True)


def stats_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of stats."""
    return _summary(Groups, stats_parameters(resource), conditional=True)


def pareto_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of the Pareto analysis."""
    return _summary(Pareto, pareto_parameters(resource))


def reliability_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of reliability."""
    return _summary(ReliabilityGroups, reliability_parameters(resource))


def report_operation(resource: Resource, media_type: str) -> dict[str, Any]:
    """Decorator arguments of a report in this format."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {
        "response_class": Response,
        "responses": {200: {"content": content, "headers": DISPOSITION}, **problem_responses(*ANYWHERE, 422)},
        "openapi_extra": {"parameters": report_parameters(resource)},
    }


def _summary(model: type[BaseModel], parameters: list[dict[str, Any]], *, conditional: bool = False) -> dict[str, Any]:
    return {
        "response_model": model,
        "responses": {**_success({}, conditional=conditional), **problem_responses(*ANYWHERE, 422)},
        "openapi_extra": {"parameters": parameters},
    }


def _success(response_headers: Mapping[str, Any], *, conditional: bool) -> dict[int, dict[str, Any]]:
    """Return the response 200 with these headers and, of a conditional read, 304."""
    if conditional:
        return {200: {"headers": {**response_headers, **STATE_TAG}}, **UNCHANGED}
    return {200: {"headers": {**response_headers}}} if response_headers else {}


def list_operation(resource: Resource, *, conditional: bool = True) -> dict[str, Any]:
    """Decorator arguments of a list; `conditional` if all that it shows is in the history."""
    extra = [*([404] if resource.scope else []), *([403] if resource.soft_delete else [])]
    return {
        "response_model": _page(_part(resource)),
        "responses": {**_success(LIST_HEADERS, conditional=conditional), **problem_responses(*ANYWHERE, 422, *extra)},
        "openapi_extra": {"parameters": list_parameters(resource)},
    }


def feed_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of a feed of changes."""
    sentence, items = "Changes, and the `since` and the `epoch` of the next request.", (list[resource.read], ...)
    return {
        "response_model": create_model("ChangesPage", __doc__=sentence, items=items, next=(int, ...), epoch=(str, ...)),
        "responses": problem_responses(*ANYWHERE, 410, 422),
        "openapi_extra": {"parameters": changes_parameters()},
    }


def stream_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of a stream of changes."""
    described = (
        f"Events with the id `seq-epoch`. The `data` of a `change` is a {resource.read.__name__} as JSON; that of "
        "`replaced` has `code` and `detail`."
    )
    schema = {"type": "string", "description": described}
    content = {"text/event-stream": {"schema": schema}}
    last = {"Last-Event-ID": "The id of the last event received; browsers send it when they reconnect."}
    return {
        "response_class": Response,
        "responses": {
            200: {"content": content, "description": f"One event per {resource.noun}."},
            **problem_responses(*ANYWHERE, 410, 422, 429),
        },
        "openapi_extra": {"parameters": [*changes_parameters()[:2], *headers(last)]},
    }


def export_operation(resource: Resource, form: Format) -> dict[str, Any]:
    """Decorator arguments of an export."""
    success = {"content": {form.media_type: {"schema": {"type": "string", "format": "binary"}}}, "headers": DISPOSITION}
    return {
        "description": f"Export {resource.noun}s as {form.suffix.upper()}.\n\n"
        f"All {resource.noun}s that match, as of one moment: {form.description}.",
        "response_class": Response,
        "responses": {200: success, **problem_responses(*ANYWHERE, 422, *([403] if resource.soft_delete else []))},
        "openapi_extra": {"parameters": export_parameters(resource, dialects=form.has_dialects)},
    }


def create_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of a POST that creates."""
    return {
        "status_code": 201,
        "response_model": resource.read,
        "responses": {201: {"headers": {**_record_headers(resource), **LOCATION}}, **problem_responses(*BODIES, 409)},
        "openapi_extra": {"parameters": headers({**RETRY, **NOTE})},
    }


def bulk_operation() -> dict[str, Any]:
    """Decorator arguments of a bulk call."""
    return {
        "response_model": BulkAnswer,
        "responses": {200: {"headers": WARNING}, **problem_responses(*BODIES, 409)},
        "openapi_extra": {"parameters": headers({**RETRY, **NOTE})},
    }


def read_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of a GET of one record."""
    not_modified = {
        304: {"description": "Not modified: the record still has the ETag in `If-None-Match`.", "headers": ETAG}
    }
    gone = [410] if resource.soft_delete else []
    return {
        "response_model": _part(resource),
        "responses": {
            200: {"headers": _record_headers(resource)},
            **not_modified,
            **problem_responses(*ANYWHERE, 404, 412, 422, *gone),
        },
        "openapi_extra": {"parameters": selection_parameters(resource)},
    }


def replace_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of a PUT."""
    gone = [410] if resource.soft_delete else []
    new = {
        201: {"model": resource.read, "description": "Created", "headers": {**_record_headers(resource), **LOCATION}}
    }
    return {
        "response_model": resource.read,
        "responses": {
            200: {"headers": _record_headers(resource)},
            **new,
            **problem_responses(*BODIES, 409, 412, 428, *gone),
        },
        "openapi_extra": {"parameters": headers({**CONDITIONS, **NOTE})},
    }


def update_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of a PATCH."""
    gone = [410] if resource.soft_delete else []
    return {
        "response_model": resource.read,
        "responses": {
            200: {"headers": _record_headers(resource)},
            **problem_responses(*BODIES, 404, 409, 412, 428, *gone),
        },
        "openapi_extra": {"parameters": headers({**CONDITIONS, **NOTE})},
    }


def restore_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of restoring a deleted record."""
    return {
        "response_model": resource.read,
        "responses": {200: {"headers": _record_headers(resource)}, **problem_responses(*WRITES, 404, 409, 412)},
        "openapi_extra": {"parameters": headers({**CONDITIONS, **NOTE})},
    }


def merge_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of merging a record into another."""
    return {
        "response_model": resource.read,
        "responses": {200: {"headers": _record_headers(resource)}, **problem_responses(*BODIES, 404, 409, 412, 428)},
        "openapi_extra": {"parameters": headers({**CONDITIONS, **NOTE})},
    }


def delete_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of a DELETE."""
    gone = [410] if resource.soft_delete else [409]
    return {
        "status_code": 204,
        "responses": problem_responses(*WRITES, 404, 412, 428, *gone),
        "openapi_extra": {"parameters": headers({**CONDITIONS, **NOTE})},
    }


def unversioned_read_operation(resource: Resource) -> dict[str, Any]:
    """Decorator arguments of a GET of one record that has no version."""
    return {
        **json_operation(_part(resource), *ANYWHERE, 404, 422),
        "openapi_extra": {"parameters": selection_parameters(resource)},
    }


def json_operation(model: Any, *refused: int, status: int = 200) -> dict[str, Any]:
    """Decorator arguments of an operation on something other than a record: response model and problem statuses."""
    return {"status_code": status, "response_model": model, "responses": problem_responses(*refused)}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of these error statuses."""
    return {status: {"model": Problem, "description": _titles(status)} for status in sorted(set(statuses))}


def _titles(status: int) -> str:
    codes = [problem for problem in PROBLEMS.values() if problem.status == status]
    return " · ".join(f"`{problem.code}`: {problem.title}" for problem in codes)


def headers(sentences: dict[str, str]) -> list[dict[str, Any]]:
    """Return the OpenAPI parameters of these request headers."""
    return [
        {"name": name, "in": "header", "required": False, "description": sentence, "schema": {"type": "string"}}
        for name, sentence in sentences.items()
    ]


def _record_headers(resource: Resource) -> dict[str, Any]:
    """Return the response headers of a record."""
    return ETAG if resource.warning is None else {**ETAG, **WARNING}


def _part(resource: Resource) -> type[Schema]:
    return partial_read_schema(resource.read, expandable=bool(resource.expandable))


@cache
def _page(part: type[Schema]) -> type[BaseModel]:
    """Return the schema of a page of a list."""
    return create_model(
        f"{part.__name__.removesuffix('Part')}Page",
        __doc__="One page of a list.",
        items=(list[part], ...),
        next=(str | None, ...),
        previous=(str | None, ...),
        total=(int | None, ...),
        total_capped=(bool, ...),
    )
