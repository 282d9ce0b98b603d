"""ASGI middleware: request ids, access log, metrics, HEAD requests, and problem responses.

Pure ASGI, because Starlette's `BaseHTTPMiddleware` costs 0.5 ms per request.
"""

import asyncio
import logging
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from time import perf_counter
from typing import Any

from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from machine_monitor.api.problems import render
from machine_monitor.api.serving import headers, metrics
from machine_monitor.api.serving.logs import FIELDS, AccessLog
from machine_monitor.api.serving.proxies.root_path import normalize, root_path_of
from machine_monitor.errors import BadRequest, DatabaseBusy, InternalError, MethodNotAllowed, NotFound, Problem
from machine_monitor.fairness import FairTurns
from machine_monitor.suggestions import MAX_LENGTH, did_you_mean

# Key in the ASGI scope: True for HEAD requests, so that streams need not be produced.
IS_HEAD = "is_head"
# Key in the ASGI scope: the authenticated user's trigram, for the access log.
USER = "user"
SHUTDOWN_RESPONSE_SECONDS = 0.5
# A proxy may forward the scheme of a WebSocket.
SECURE_SCHEMES = ("https", "wss")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

logger = logging.getLogger(__name__)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class RequestMiddleware:
    """Outermost middleware: response headers, HEAD as GET without body, crashes as problems, and the access log."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: headers.AllowedHosts | None = None,
        access_log: AccessLog | None = None,
        *,
        hsts: bool = True,
        root_path: str = "",
    ) -> None:
        self.app = app
        self._hsts = hsts
        self._root_path = root_path
        self._access_log = access_log
        self._hosts = hosts or headers.AllowedHosts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        context = RequestContext(scope, send, hsts=self._hsts, root_path=self._root_path)
        metrics.IN_FLIGHT.inc()
        try:
            self._hosts.check(context.headers(b"host"), needed=scope.get("http_version") == "1.1")
            await self.app(context.scope, receive, context.send)
        except BadRequest as problem:
            await context.send_problem(problem, receive)
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:
            # The server is shutting down. uvicorn would log this exception with a traceback.
            if not await context.send_shutdown(receive):
                raise
        except Exception:
            logger.exception("unhandled error", extra={FIELDS: {"request_id": context.request_id}})
            if context.status:
                raise
            await context.send_problem(InternalError(), receive)
        finally:
            metrics.IN_FLIGHT.dec()
            context.finish(self._access_log)


class RequestContext:
    """The state of one request: its id, its scope, and the status of its response."""

    __slots__ = ("_began", "_headers", "_hsts", "_method", "_send", "request_id", "scope", "status")

    def __init__(self, scope: Scope, send: Send, *, hsts: bool = True, root_path: str = "") -> None:
        self._began = perf_counter()
        scheme = "https" if scope.get("scheme") in SECURE_SCHEMES else "http"
        self._hsts = hsts and scheme == "https"
        self._send = send
        self._method = scope["method"]
        self._headers: list[tuple[bytes, bytes]] = [*scope["headers"]]
        self.request_id = self._client_request_id() or secrets.token_hex(8)
        self.scope: dict[str, Any] = {
            **scope,
            **normalize(scope, root_path),
            "scheme": scheme,
            "client": _client_address(scope),
            "request_id": self.request_id,
            "method": "GET" if self._method == "HEAD" else self._method,
            IS_HEAD: self._method == "HEAD",
        }
        self.status = 0

    def headers(self, name: bytes) -> list[bytes]:
        """Return the values of a request header."""
        return [value for header, value in self._headers if header == name]

    async def send(self, message: Message) -> None:
        """Forward an ASGI message, adding the standard headers to the start of the response."""
        if message["type"] == "http.response.start":
            if self.status:
                sentence = "A second response was started: an error occurred after the first had been sent in part."
                raise RuntimeError(sentence)
            self.status = message["status"]
            given = headers.locate(message["headers"], root_path_of(self.scope))
            message["headers"] = headers.complete(given, self.request_id, hsts=self._hsts)
        elif self.scope[IS_HEAD]:
            message = {**message, "body": b""}
        await self._send(message)

    async def send_problem(self, problem: Problem, receive: Receive) -> None:
        """Send a problem response."""
        await render(problem, self.scope)(self.scope, receive, self.send)

    async def send_shutdown(self, receive: Receive) -> bool:
        """Send 503 unless a response was started; return whether it was sent. Does not wait for a slow client."""
        if self.status:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_RESPONSE_SECONDS):
                await self.send_problem(DatabaseBusy("The service is shutting down. Try again in a moment."), receive)
                return True
        return False

    def finish(self, access_log: AccessLog | None) -> None:
        """Record the metrics and the access log entry. Both contain the operation's name, never the URL."""
        seconds = perf_counter() - self._began
        route = self.scope.get("route")
        operation = getattr(route, "name", metrics.NO_OPERATION)
        status = self.status or metrics.CLIENT_GONE
        metrics.count(operation, self._method, status, seconds)
        if access_log is not None:
            client = self.scope.get("client")
            access_log(
                "request",
                request_id=self.request_id,
                method=self._method,
                operation=operation,
                status=status,
                ms=round(seconds * 1000, 2),
                user=self.scope.get(USER),
                remote=client[0] if client else None,
            )

    def _client_request_id(self) -> str | None:
        """Return the client's X-Request-ID if it is valid."""
        given = next(iter(self.headers(b"x-request-id")), b"")
        return given.decode() if _REQUEST_ID.fullmatch(given) else None


class TurnMiddleware:
    """Lets clients start requests in turns (see `FairTurns`); `key_of` identifies the client of a request."""

    def __init__(self, app: ASGIApp, key_of: Callable[[Request], str]) -> None:
        self.app = app
        self._key_of = key_of
        self._turns = FairTurns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            await self._turns.wait_for_turn(self._key_of(Request(scope)))
        await self.app(scope, receive, send)


class ProblemMiddleware:
    """Turns `Problem`s and Starlette's `HTTPException`s (404, 405) into problem responses."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        try:
            await self.app(scope, receive, send)
        except Problem as problem:
            await render(problem, scope)(scope, receive, send)
        except HTTPException as error:
            await _render_http_exception(error, scope)(scope, receive, send)


def _client_address(scope: Scope) -> tuple[str, int] | None:
    """Return the client's IP address and port; None if the server or a proxy reports anything else."""
    client = scope.get("client")
    try:
        ip_address(client[0] if client else "")
    except ValueError:
        return None
    return client


def _render_http_exception(error: HTTPException, scope: Scope) -> Response:
    kinds: dict[int, type[Problem]] = {404: NotFound, 405: MethodNotAllowed, 400: BadRequest}
    kind = kinds.get(error.status_code, InternalError)
    detail = NotFound.explanation + _did_you_mean_path(scope) if kind is NotFound else ""
    response = render(kind(detail), scope)
    if error.status_code == MethodNotAllowed.status:
        response.headers["Allow"] = ", ".join(_allowed_methods(scope))
    return response


def _did_you_mean_path(scope: Scope) -> str:
    """Suggest the path without a slash too many, or else a similar path."""
    path: str = scope["path"]
    if len(path) > MAX_LENGTH:
        return ""
    without_slashes = "/" + "/".join(filter(None, path.split("/")))
    if without_slashes != path and _is_routed({**scope, "method": "GET", "path": without_slashes}):
        return f" Did you mean '{without_slashes}'?"
    routes = [route for route in scope["app"].routes if getattr(route, "include_in_schema", False)]
    root = scope.get("root_path", "")
    return did_you_mean(path, [f"{root}{route.path}" for route in routes if "{" not in route.path])


def _allowed_methods(scope: Scope) -> list[str]:
    """Return the methods of a path, over all of its routes."""
    methods = [method for method in METHODS if _is_routed({**scope, "method": method})]
    return ["GET", "HEAD", *methods[1:]] if methods[:1] == ["GET"] else methods


def _is_routed(scope: Scope) -> bool:
    routes = [route for route in scope["app"].routes if scope["method"] == "GET" or not isinstance(route, Mount)]
    return any(route.matches(scope)[0].name == "FULL" for route in routes)
