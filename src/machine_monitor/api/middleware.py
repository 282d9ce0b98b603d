"""The middleware, as pure ASGI: a decorator of FastAPI's would cost half a millisecond a request."""

import asyncio
import logging
import re
import secrets
from contextlib import suppress
from time import perf_counter

from fastapi import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from machine_monitor.api.problems import render
from machine_monitor.api.serving import headers, metrics
from machine_monitor.api.serving.logs import FIELDS, AccessLog
from machine_monitor.errors import BadRequest, DatabaseBusy, InternalError, MethodNotAllowed, NotFound, Problem

# Set in the scope of a HEAD, so that what is made part by part need not be made.
HEADLESS = "headless"
# The trigram of whoever is found to ask, set in the scope by who finds it: for the log.
USER = "user"
FAREWELL_SECONDS = 0.5
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

logger = logging.getLogger(__name__)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class RequestMiddleware:
    """Gives each answer its headers, answers HEAD as GET without the body and a crash as a problem; keeps the log."""

    def __init__(
        self, app: ASGIApp, hosts: headers.AllowedHosts | None = None, access_log: AccessLog | None = None
    ) -> None:
        self.app = app
        self._access_log = access_log
        self._hosts = hosts or headers.AllowedHosts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        context = RequestContext(scope, send)
        metrics.IN_FLIGHT.inc()
        try:
            self._hosts.check(context.headers(b"host"), needed=scope.get("http_version") == "1.1")
            await self.app(context.scope, receive, context.send)
        except BadRequest as problem:
            await context.answer(problem, receive)
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:
            # The server ends and waits no longer; nor does it for a client that takes no answer.
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_SECONDS):
                    if not context.status:
                        await context.answer(DatabaseBusy("The service is being stopped. Try again."), receive)
            raise
        except Exception:
            logger.exception("crash", extra={FIELDS: {"request_id": context.request_id}})
            if context.status:
                raise
            await context.answer(InternalError(), receive)
        finally:
            metrics.IN_FLIGHT.dec()
            context.conclude(self._access_log)


class RequestContext:
    """A request on its way, and what is known of its answer."""

    __slots__ = ("_began", "_headers", "_method", "_send", "request_id", "scope", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._began = perf_counter()
        self._send = send
        self._method = scope["method"]
        self._headers: list[tuple[bytes, bytes]] = [*scope["headers"]]
        self.request_id = self._identify()
        self.scope = {
            **scope,
            "request_id": self.request_id,
            "method": "GET" if self._method == "HEAD" else self._method,
            HEADLESS: self._method == "HEAD",
        }
        self.status = 0

    def headers(self, name: bytes) -> list[bytes]:
        """The values of a header of the request."""
        return [value for known, value in self._headers if known == name]

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on, with what every answer has."""
        if message["type"] == "http.response.start":
            if self.status:
                sentence = "What came up when the answer had begun cannot be told any more."
                raise RuntimeError(sentence)
            self.status = message["status"]
            secure = self.scope.get("scheme") == "https"
            message["headers"] = headers.complete(message["headers"], self.request_id, secure=secure)
        elif self.scope[HEADLESS]:
            message = {**message, "body": b""}
        await self._send(message)

    async def answer(self, problem: Problem, receive: Receive) -> None:
        """Answer a problem that no route answers."""
        await render(problem, self.scope["path"], self.request_id)(self.scope, receive, self.send)

    def conclude(self, access_log: AccessLog | None) -> None:
        """Count the request and tell of it; neither tells more of its address than the operation."""
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

    def _identify(self) -> str:
        """The client's own id if it is a plain word, else a new one."""
        given = next(iter(self.headers(b"x-request-id")), b"")
        return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


class ProblemMiddleware:
    """Answers problems, and what the framework raises in their place: no such path, no such method."""

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
