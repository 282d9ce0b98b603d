"""Answers: finished bytes with the headers that the contract promises."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args
from urllib.parse import quote, urlencode

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic_core import to_json

from machine_monitor.api import problems
from machine_monitor.query.language.parser import parse_query_string
from machine_monitor.query.lists import Page
from machine_monitor.query.schema import Selection
from machine_monitor.services.idempotency import Answer
from machine_monitor.services.records import Written
from machine_monitor.services.records.bulk import Outcome, Status
from machine_monitor.services.records.preconditions import Conditions, etag
from machine_monitor.services.records.storage import Stored

JSON = "application/json"
STATUSES = get_args(Status)


def page(request: Request, found: Page) -> Response:
    """A list, with `Link` to its neighbours and `X-Total-Count` if it was counted."""
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
    return Response(found.body, media_type=JSON, headers=headers)


def document(body: bytes) -> Response:
    """JSON that is finished, and has no version."""
    return Response(body, media_type=JSON)


def secret(document: Any, status: int = 200, location: str | None = None) -> Response:
    """JSON that no cache keeps."""
    headers = {"Cache-Control": "no-store"} | ({} if location is None else {"Location": location})
    return JSONResponse(document, status, headers)


def record(stored: Stored, conditions: Conditions, selection: Selection) -> Response:
    """One record with its ETag; 304 without it if the client has this version already.

    Not where anything is expanded: its changes do not change the version.
    """
    conditions.check_current(stored)
    headers = {"ETag": etag(stored.version)}
    expand = selection[1]
    if not expand and conditions.is_known(stored.version):
        return Response(status_code=304, headers=headers)
    return Response(stored.body, media_type=JSON, headers=headers)


def written(path: str, result: Written) -> Response:
    """The record as it is after a write; 201 with its `Location` if it is new. `path` is that of its list."""
    return finished(of_written(path, result))


def finished(answer: Answer) -> Response:
    """An answer that can be given again, and says so if it is."""
    replayed = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    return Response(answer.body, answer.status, {**answer.headers, **replayed}, JSON)


def of_written(path: str, result: Written) -> Answer:
    """What `written` answers."""
    headers = {"ETag": etag(result.version)}
    if result.created:
        headers["Location"] = f"{path}/{quote(result.key, safe='')}"
    return Answer(201 if result.created else 200, headers, result.body.encode())


def of_bulk(outcomes: Sequence[Outcome]) -> Answer:
    """What became of each log of a bulk call."""
    results = [
        {
            "index": outcome.index,
            "uuid": outcome.key,
            "status": outcome.status,
            "version": outcome.version,
            "problem": None if outcome.problem is None else problems.document(outcome.problem),
        }
        for outcome in outcomes
    ]
    found = Counter(outcome.status for outcome in outcomes)
    return Answer(200, {}, to_json({"results": results, "counts": {status: found[status] for status in STATUSES}}))


def _with_cursor(request: Request, cursor: str) -> str:
    """The address of a neighbouring page: the same list, at another place."""
    kept = [
        (name, value)
        for name, value in parse_query_string(request.scope["query_string"])
        if name not in ("cursor", "offset")
    ]
    return f"{quote(request.scope['path'])}?{urlencode([*kept, ('cursor', cursor)])}"
