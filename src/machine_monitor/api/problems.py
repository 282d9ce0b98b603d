"""Problem details (RFC 9457), the body of every 4xx and 5xx response."""

import json
from typing import Any
from urllib.parse import quote

from fastapi import Response
from starlette.types import Scope

from machine_monitor.api.serving import metrics
from machine_monitor.api.serving.compression import CompressedResponse
from machine_monitor.api.serving.proxies.root_path import root_path_of
from machine_monitor.errors import Problem, RateLimited, Unauthenticated

MEDIA_TYPE = "application/problem+json"


def render(problem: Problem, scope: Scope) -> Response:
    """Build the response of a problem to the request of this scope, and count it in the metrics."""
    metrics.PROBLEMS.labels(problem.code).inc()
    location = {"instance": quote(scope["path"]), "request_id": scope["request_id"]}
    headers = {**problem.headers}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    if isinstance(problem, Unauthenticated):
        headers["WWW-Authenticate"] = problem.challenge
    if isinstance(problem, RateLimited):
        # A client that tries too often does not keep one of the server's connections while it waits.
        headers["Connection"] = "close"
    return CompressedResponse(
        # ASCII-escaped: an unknown field's name may contain unpaired surrogates.
        json.dumps(problem_details(problem, root_path_of(scope)) | location | problem.members),
        problem.status,
        headers,
        MEDIA_TYPE,
    )


def problem_details(problem: Problem, root_path: str) -> dict[str, Any]:
    """Return the members of a problem that do not depend on the request."""
    members: dict[str, Any] = {
        "type": f"{root_path}/problems/{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.faults:
        members["errors"] = [fault.to_dict() for fault in problem.faults]
    return members
