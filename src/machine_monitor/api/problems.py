"""Problems: every 4xx and 5xx as RFC 9457 has it."""

import json
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Mount

from machine_monitor.api.serving import metrics
from machine_monitor.errors import BadRequest, InternalError, MethodNotAllowed, NotFound, Problem, Unauthenticated

MEDIA_TYPE = "application/problem+json"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def install(app: FastAPI) -> None:
    """Let the application answer problems where it would answer anything else."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_exception)


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


async def _problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return render(problem, request.scope["path"], request.scope["request_id"])


async def _http_exception(request: Request, error: Exception) -> Response:
    """What the framework raises by itself: no such path, no such method."""
    assert isinstance(error, HTTPException)
    kinds: dict[int, type[Problem]] = {404: NotFound, 405: MethodNotAllowed, 400: BadRequest}
    response = await _problem(request, kinds.get(error.status_code, InternalError)())
    if error.status_code == MethodNotAllowed.status:
        response.headers["Allow"] = ", ".join(_allowed(request))
    return response


def _allowed(request: Request) -> list[str]:
    """The methods that the path knows, over all of its routes."""
    known = [method for method in METHODS if _is_routed(request, method)]
    return ["GET", "HEAD", *known[1:]] if known[:1] == ["GET"] else known


def _is_routed(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    routes = [route for route in request.app.routes if method == "GET" or not isinstance(route, Mount)]
    return any(route.matches(scope)[0].name == "FULL" for route in routes)
