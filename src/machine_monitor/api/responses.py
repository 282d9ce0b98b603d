"""Build HTTP responses, with ETag, Link, Location and the other headers of the contract."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args
from urllib.parse import quote, urlencode

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic_core import to_json

from machine_monitor.api import problems
from machine_monitor.api.serving.compression import CompressedResponse
from machine_monitor.api.streaming import FinishedResponse
from machine_monitor.query.language.parser import parse_query_string
from machine_monitor.query.lists import Page
from machine_monitor.query.schema import Selection
from machine_monitor.services.idempotency import StoredResponse
from machine_monitor.services.records import WriteResult
from machine_monitor.services.records.bulk import Outcome, Status
from machine_monitor.services.records.preconditions import Preconditions, etag
from machine_monitor.services.records.storage import StoredRecord

JSON = "application/json"
STATUSES = get_args(Status)
# The header names so many items of a bulk write, of up to 1,000 that have the same warning.
WARNED_ITEMS = 20


def page_response(request: Request, found: Page) -> FinishedResponse:
    """Return a page of a list, with `Link` headers to the next and previous page, and `X-Total-Count` if counted."""
    headers = {}
    links = [
        f'<{_with_cursor(request, cursor)}>; rel="{relation}"'
        for relation, cursor in (("next", found.next), ("prev", found.previous))
        if cursor is not None
    ]
    if links:
        headers["Link"] = ", ".join(links)
    if found.total is not None:
        headers["X-Total-Count"] = str(found.total)
    return FinishedResponse(found.body, media_type=JSON, headers=headers)


def json_response(body: bytes) -> FinishedResponse:
    """Return finished JSON, without an ETag."""
    return FinishedResponse(body, media_type=JSON)


def uncached_response(content: Any, status: int = 200, location: str | None = None) -> Response:
    """Return JSON with `Cache-Control: no-store`, for secrets."""
    headers = {"Cache-Control": "no-store"} | ({} if location is None else {"Location": location})
    return JSONResponse(content, status, headers)


def record_response(stored: StoredRecord, conditions: Preconditions, selection: Selection) -> Response:
    """Return a record with its ETag, or 304 if the client's copy is current.

    Never 304 with `expand`: a related record can change without changing this record's version.
    """
    conditions.check_if_match(stored)
    headers = {"ETag": etag(stored.version), **_warning(stored.warning)}
    expand = selection[1]
    if not expand and conditions.matches_if_none_match(stored.version):
        return Response(status_code=304, headers={**headers, "Vary": "Accept-Encoding"})
    return FinishedResponse(stored.body, media_type=JSON, headers=headers)


def write_response(path: str, result: WriteResult) -> Response:
    """Return the record after a write: 201 with its `Location` if it is new. `path` is the path of its list."""
    return replayable_response(stored_write_response(path, result))


def replayable_response(answer: StoredResponse) -> Response:
    """Return a stored response; a replay has the header `Idempotency-Replayed`."""
    replayed = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    return CompressedResponse(answer.body, answer.status, {**answer.headers, **replayed}, JSON)


def stored_write_response(path: str, result: WriteResult) -> StoredResponse:
    """Build the storable response of a write."""
    record = result.record
    headers = {"ETag": etag(result.version), **_warning(record.warning)}
    if result.created:
        headers["Location"] = f"{path}/{quote(result.key, safe='')}"
    return StoredResponse(201 if result.created else 200, headers, record.body.encode())


def stored_bulk_response(outcomes: Sequence[Outcome], root_path: str) -> StoredResponse:
    """Build the storable response of a bulk write."""
    results = [
        {
            "index": outcome.index,
            "uuid": outcome.key,
            "status": outcome.status,
            "version": outcome.version,
            "problem": None if outcome.problem is None else problems.problem_details(outcome.problem, root_path),
        }
        for outcome in outcomes
    ]
    counts = Counter(outcome.status for outcome in outcomes)
    body = {"results": results, "counts": {status: counts[status] for status in STATUSES}}
    return StoredResponse(200, _warning(_bulk_warning(outcomes)), to_json(body))


def _bulk_warning(outcomes: Sequence[Outcome]) -> str | None:
    """Return the warnings of all items in one sentence each, with the number of items and the first of them."""
    items_of: dict[str, list[int]] = {}
    for outcome in outcomes:
        if outcome.warning is not None:
            items_of.setdefault(outcome.warning, []).append(outcome.index)
    sentences = []
    for sentence, items in items_of.items():
        listed = ", ".join(map(str, items[:WARNED_ITEMS])) + (", ..." if len(items) > WARNED_ITEMS else "")
        sentences.append(f"{len(items)} of {len(outcomes)} items ({listed}): {sentence}")
    return " ".join(sentences) or None


def _warning(sentence: str | None) -> dict[str, str]:
    """Return the header `Warning` (RFC 7234): 299 is a warning that lasts. The body stays the record itself."""
    return {} if sentence is None else {"Warning": f'299 - "{sentence}"'}


def _with_cursor(request: Request, cursor: str) -> str:
    """Return the URL of the next or previous page: the same query with another cursor."""
    other_parameters = [
        (name, value)
        for name, value in parse_query_string(request.scope["query_string"])
        if name not in ("cursor", "offset")
    ]
    return f"{quote(request.scope['path'])}?{urlencode([*other_parameters, ('cursor', cursor)])}"
