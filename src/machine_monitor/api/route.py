"""The route class: resolves an endpoint's parameters without FastAPI's dependency injection.

FastAPI only reads the signature, for OpenAPI; resolving it per request would take longer than the database query.
A parameter is one of: the request, a path parameter, a body (one `Schema`), or `Annotated[..., Depends(f)]` where `f`
is a synchronous function of the request. Any other parameter is a `TypeError` when the route is created.
`dependency_overrides` do not apply.

The decorator declares the action of the operation, `dependencies=[needs(...)]`. The route authenticates and authorizes
the caller before it does anything else.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Annotated, Any, get_args, get_origin
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Request, Response
from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from machine_monitor.api.access import action_of, authorize, denial_statuses, security_of
from machine_monitor.api.bodies import read_body
from machine_monitor.api.deps import READ_AFTER, ListQueryReader
from machine_monitor.api.openapi.documents import problem_responses
from machine_monitor.api.serving import conditional, uploads
from machine_monitor.api.serving.proxies.root_path import route_path_of
from machine_monitor.errors import (
    BadRequest,
    Conflict,
    Fault,
    Invalid,
    MonitorError,
    UriTooLong,
    VersionConflict,
    invalid,
)
from machine_monitor.models.fields import Schema

MAX_URL = 8 * 1024

Resolver = Callable[[Request], Any]


# Paths without parameters. They take precedence over paths with parameters.
_static_paths: set[str] = set()


class Route(APIRoute):
    """Authorizes the caller, resolves the endpoint's parameters, and reports all their faults in one 422."""

    has_secrets = False

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.action = action_of(path, options)
        options["openapi_extra"] = {**(options.get("openapi_extra") or {}), **security_of(self.action)}
        denials = denial_statuses(self.action, options.get("methods") or ("GET",))
        options["responses"] = {**problem_responses(*denials), **(options.get("responses") or {})}
        super().__init__(path, endpoint, **options)
        # Replaces FastAPI's wrapper, whose exit stacks and exception handlers are not needed here.
        self.app = _asgi_app(self.get_route_handler())
        self._prefix = path.partition("{")[0]
        if not self.param_convertors:
            _static_paths.add(path)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a request. `PUT /logs/stats` is 405, not a PUT of the log "stats".

        Starlette asks the routes one by one: comparing the literal prefix first avoids most regular expressions.
        """
        path = route_path_of(scope)
        if self.param_convertors:
            fits = path.startswith(self._prefix) and path not in _static_paths
        else:
            fits = path == self.path
        return super().matches(scope) if fits else (Match.NONE, {})

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function that handles a request."""
        endpoint, action = self.endpoint, self.action
        parameters = inspect.signature(endpoint, eval_str=True).parameters.values()
        others = {
            parameter.name: _resolver(parameter, self.path) for parameter in parameters if not _is_body(parameter)
        }
        readers = (each for each in others.values() if isinstance(each, ListQueryReader) and each.can_prefetch)
        reader = next(readers, None)
        body = next((parameter for parameter in parameters if _is_body(parameter)), None)

        async def respond(request: Request) -> Response:
            prefetch = None if reader is None else conditional.prefetch_for(request, reader)
            await authorize(request, action, prefetch)
            _check_url(request)
            arguments: dict[str, Any] = {}
            faults: list[Fault] = []
            if body is not None:
                arguments[body.name] = await _collect(faults, read_body(request, body.annotation))
            for name, resolve in others.items():
                try:
                    arguments[name] = resolve(request)
                except Invalid as problem:
                    faults += problem.faults
            if faults:
                raise invalid(faults)
            return await endpoint(**arguments)

        async def handle(request: Request) -> Response:
            try:
                return await _name_position(request, respond(request))
            finally:
                if uploads.FORM in request.scope:
                    await request.scope[uploads.FORM].discard()

        return handle


class SecretRoute(Route):
    """A route of credentials: its responses are never compressed."""

    has_secrets = True


def create_router(tag: str, route_class: type[Route] = Route) -> APIRouter:
    """Create a router that uses `Route`; the operationId of an operation is the name of its function."""
    return APIRouter(tags=[tag], route_class=route_class, generate_unique_id_function=lambda route: route.name)


def _asgi_app(handle: Callable[[Request], Awaitable[Response]]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await handle(Request(scope, receive, send))
        await response(scope, receive, send)

    return app


async def _name_position(request: Request, pending: Awaitable[Response]) -> Response:
    """Add the position of the database's log to the response to a write, so that the client can ask for that write."""
    database = request.app.state.database
    try:
        response = await pending
    except (Conflict, VersionConflict) as problem:
        # The client now reads what its write conflicts with; another service may have written it.
        with suppress(MonitorError):
            if position := await database.find_position():
                problem.headers[READ_AFTER] = position
        raise
    if request.method != "GET" and (position := database.position):
        response.headers[READ_AFTER] = position
    return response


async def _collect(faults: list[Fault], pending: Awaitable[Schema]) -> Schema | None:
    try:
        return await pending
    except Invalid as problem:
        faults += problem.faults
        return None


def _is_body(parameter: inspect.Parameter) -> bool:
    return isinstance(parameter.annotation, type) and issubclass(parameter.annotation, Schema)


def _resolver(parameter: inspect.Parameter, path: str) -> Resolver:
    name = parameter.name
    if parameter.annotation is Request:
        return lambda request: request
    if f"{{{name}}}" in path:
        return lambda request: request.path_params[name]
    if get_origin(parameter.annotation) is Annotated:
        for metadata in get_args(parameter.annotation)[1:]:
            if isinstance(metadata, Depends) and metadata.dependency is not None:
                return metadata.dependency
    message = f"{path}, parameter '{name}': expected Request, a path parameter, one body, or Annotated[..., Depends(f)]"
    raise TypeError(message)


def _check_url(request: Request) -> None:
    scope = request.scope
    raw_path = scope.get("raw_path") or b""
    if len(raw_path) + len(scope["query_string"]) + 1 > MAX_URL:
        raise UriTooLong
    try:
        # The server decodes invalid UTF-8 to U+FFFD, so that different keys would become equal.
        unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        raise BadRequest("The path of the URL must be UTF-8, percent-encoded.") from None
