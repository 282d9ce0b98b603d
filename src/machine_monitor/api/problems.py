"""Problems: every 4xx and 5xx as RFC 9457 has it."""

import json
from typing import Any
from urllib.parse import quote

from fastapi import Response

from machine_monitor.api.serving import metrics
from machine_monitor.errors import Problem, Unauthenticated

MEDIA_TYPE = "application/problem+json"


def render(problem: Problem, path: str, request_id: str) -> Response:
    """The answer that a problem is; counts it."""
    metrics.PROBLEMS.labels(problem.code).inc()
    place = {"instance": quote(path), "request_id": request_id}
    headers = {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}
    if isinstance(problem, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        # Escaped: the name of a field that is not known may hold what is no text.
        json.dumps(document(problem) | place | problem.members),
        problem.status,
        headers,
        MEDIA_TYPE,
    )


def document(problem: Problem) -> dict[str, Any]:
    """What a problem says of itself."""
    members: dict[str, Any] = {
        "type": f"/problems/{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.faults:
        members["errors"] = [fault.document() for fault in problem.faults]
    return members
