"""What every request and every answer has, as pure ASGI: a decorator of FastAPI's would cost half a millisecond."""

import asyncio
import logging
import re
import secrets
from contextlib import suppress
from time import perf_counter

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from machine_monitor.api.problems import render
from machine_monitor.api.serving import headers, metrics
from machine_monitor.api.serving.hosts import Hosts
from machine_monitor.api.serving.logs import FIELDS, Tell
from machine_monitor.errors import BadRequest, DatabaseBusy, InternalError, Problem

# Set in the scope of a HEAD, so that what is made part by part need not be made.
HEADLESS = "headless"
# The trigram of whoever is found to ask, set in the scope by who finds it: for the log.
USER = "user"
FAREWELL_SECONDS = 0.5

logger = logging.getLogger(__name__)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Envelope:
    """Gives each answer its headers, answers HEAD as GET without the body and a crash as a problem; keeps the log."""

    def __init__(self, app: ASGIApp, hosts: Hosts | None = None, tell: Tell | None = None) -> None:
        self.app = app
        self._tell = tell
        self._hosts = hosts or Hosts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(scope, send)
        metrics.IN_FLIGHT.inc()
        try:
            self._hosts.check(exchange.headers(b"host"), needed=scope.get("http_version") == "1.1")
            await self.app(exchange.scope, receive, exchange.send)
        except BadRequest as problem:
            await exchange.answer(problem, receive)
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:
            # The server ends and waits no longer; nor does it for a client that takes no answer.
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_SECONDS):
                    if not exchange.status:
                        await exchange.answer(DatabaseBusy("The service is being stopped. Try again."), receive)
            raise
        except Exception:
            logger.exception("crash", extra={FIELDS: {"request_id": exchange.request_id}})
            if exchange.status:
                raise
            await exchange.answer(InternalError(), receive)
        finally:
            metrics.IN_FLIGHT.dec()
            exchange.conclude(self._tell)


class Exchange:
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

    def conclude(self, tell: Tell | None) -> None:
        """Count the request and tell of it; neither tells more of its address than the operation."""
        seconds = perf_counter() - self._began
        route = self.scope.get("route")
        operation = getattr(route, "name", metrics.NO_OPERATION)
        status = self.status or metrics.CLIENT_GONE
        metrics.count(operation, self._method, status, seconds)
        if tell is not None:
            client = self.scope.get("client")
            tell(
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
