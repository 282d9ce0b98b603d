"""Problems: every 4xx and 5xx as RFC 9457 has it."""

import json
from typing import Any
from urllib.parse import quote

from fastapi import Response
from starlette.exceptions import HTTPException
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from machine_monitor.api.serving import metrics
from machine_monitor.errors import BadRequest, InternalError, MethodNotAllowed, NotFound, Problem, Unauthenticated

MEDIA_TYPE = "application/problem+json"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Problems:
    """The layer that answers problems, and what the framework raises in their place: no such path, no such method."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self.app(scope, receive, send)
        except Problem as problem:
            await render(problem, scope["path"], scope["request_id"])(scope, receive, send)
        except HTTPException as error:
            await _of_framework(error, scope)(scope, receive, send)


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


def _of_framework(error: HTTPException, scope: Scope) -> Response:
    kinds: dict[int, type[Problem]] = {404: NotFound, 405: MethodNotAllowed, 400: BadRequest}
    response = render(kinds.get(error.status_code, InternalError)(), scope["path"], scope["request_id"])
    if error.status_code == MethodNotAllowed.status:
        response.headers["Allow"] = ", ".join(_allowed(scope))
    return response


def _allowed(scope: Scope) -> list[str]:
    """The methods that the path knows, over all of its routes."""
    known = [method for method in METHODS if _is_routed({**scope, "method": method})]
    return ["GET", "HEAD", *known[1:]] if known[:1] == ["GET"] else known


def _is_routed(scope: Scope) -> bool:
    routes = [route for route in scope["app"].routes if scope["method"] == "GET" or not isinstance(route, Mount)]
    return any(route.matches(scope)[0].name == "FULL" for route in routes)
