"""Problem details (RFC 9457), the body of every 4xx and 5xx response."""

import json
from typing import Any
from urllib.parse import quote

from fastapi import Response

from machine_monitor.api.serving import metrics
from machine_monitor.errors import Problem, RateLimited, Unauthenticated

MEDIA_TYPE = "application/problem+json"


def render(problem: Problem, path: str, request_id: str) -> Response:
    """Build the response of a problem, and count it in the metrics."""
    metrics.PROBLEMS.labels(problem.code).inc()
    location = {"instance": quote(path), "request_id": request_id}
    headers = {**problem.headers}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    if isinstance(problem, Unauthenticated):
        headers["WWW-Authenticate"] = problem.challenge
    if isinstance(problem, RateLimited):
        # A client that tries too often does not keep one of the server's connections while it waits.
        headers["Connection"] = "close"
    return Response(
        # ASCII-escaped: an unknown field's name may contain unpaired surrogates.
        json.dumps(problem_details(problem) | location | problem.members),
        problem.status,
        headers,
        MEDIA_TYPE,
    )


def problem_details(problem: Problem) -> dict[str, Any]:
    """Return the members of a problem that do not depend on the request."""
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
