"""The route class: an endpoint's signature is its specification, and is resolved without FastAPI's machinery.

FastAPI reads the signature for OpenAPI; what it would do at each request to honour it costs more than the database.
Parameters may be: the request, a name of the path, a body (one `Schema`), or `Annotated[..., Depends(f)]` where `f` is
a plain function of the request. Anything else is refused when the route is made. `dependency_overrides` do not apply.

The decorator names the action that the operation is, `dependencies=[needs(...)]`: before anything else the route finds
out who asks, and whether they may.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, get_args, get_origin
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Request, Response
from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from machine_monitor.api.access import action_of, admit, document, refusals
from machine_monitor.api.bodies import read_body
from machine_monitor.api.openapi.documents import problems
from machine_monitor.errors import BadRequest, Fault, Invalid, UriTooLong, invalid
from machine_monitor.models.fields import Schema

MAX_URL = 8 * 1024

Resolver = Callable[[Request], Any]


# The paths without a name in braces; none of them is taken for a key.
_plain_paths: set[str] = set()


class Route(APIRoute):
    """Admits who may, resolves an endpoint's parameters in order, and answers all their 422 at once."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.action = action_of(path, options)
        options["openapi_extra"] = {**(options.get("openapi_extra") or {}), **document(self.action)}
        options["responses"] = {**problems(*refusals(self.action)), **(options.get("responses") or {})}
        super().__init__(path, endpoint, **options)
        # FastAPI's own would hold open what dependencies yield, and catch what the application catches.
        self.app = _answering(self.get_route_handler())
        self._beginning = path.partition("{")[0]
        if not self.param_convertors:
            _plain_paths.add(path)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the route answers: PUT of `/logs/stats` is 405, not the PUT of a log of that name.

        Routes are asked in turn: most say no, and need no pattern to know.
        """
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if self.param_convertors:
            fits = path.startswith(self._beginning) and path not in _plain_paths
        else:
            fits = path == self.path
        return super().matches(scope) if fits else (Match.NONE, {})

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function that answers a request."""
        endpoint, action = self.endpoint, self.action
        parameters = inspect.signature(endpoint, eval_str=True).parameters.values()
        plain = {parameter.name: _resolver(parameter, self.path) for parameter in parameters if not _is_body(parameter)}
        body = next((parameter for parameter in parameters if _is_body(parameter)), None)

        async def handle(request: Request) -> Response:
            await admit(request, action)
            _check_url(request)
            arguments: dict[str, Any] = {}
            faults: list[Fault] = []
            if body is not None:
                arguments[body.name] = await _collect(faults, read_body(request, body.annotation))
            for name, resolve in plain.items():
                try:
                    arguments[name] = resolve(request)
                except Invalid as problem:
                    faults += problem.faults
            if faults:
                raise invalid(faults)
            return await endpoint(**arguments)

        return handle


def tagged(tag: str) -> APIRouter:
    """A router of such routes; an operation is named by its function."""
    return APIRouter(tags=[tag], route_class=Route, generate_unique_id_function=lambda route: route.name)


def _answering(handle: Callable[[Request], Awaitable[Response]]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await handle(Request(scope, receive, send))
        await response(scope, receive, send)

    return app


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
        for mark in get_args(parameter.annotation)[1:]:
            if isinstance(mark, Depends) and mark.dependency is not None:
                return mark.dependency
    message = f"{name}: an endpoint takes the request, names of its path, one body, and functions of the request"
    raise TypeError(message)


def _check_url(request: Request) -> None:
    scope = request.scope
    raw_path = scope.get("raw_path") or b""
    if len(raw_path) + len(scope["query_string"]) + 1 > MAX_URL:
        raise UriTooLong
    try:
        # The server puts a sign of its own for what is no UTF-8: different keys would become one.
        unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        raise BadRequest("The path is not UTF-8.") from None
