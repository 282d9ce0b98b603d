"""What every request and every answer has, as pure ASGI: a decorator of FastAPI's would cost half a millisecond."""

import logging
import re
import secrets
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from machine_monitor.api.problems import render
from machine_monitor.errors import InternalError

# Set in the scope of a HEAD, so that what is made part by part need not be made.
HEADLESS = "headless"

logger = logging.getLogger(__name__)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Envelope:
    """Gives each answer its `X-Request-ID`, answers HEAD as GET without the body, and a crash as a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        headless = scope["method"] == "HEAD"
        method = "GET" if headless else scope["method"]
        scope = {**scope, "request_id": request_id, "method": method, HEADLESS: headless}
        started = False

        async def wrapped(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            elif headless:
                message = {**message, "body": b""}
            await send(message)

        try:
            await self.app(scope, receive, wrapped)
        except ClientDisconnect:
            return
        except Exception:
            logger.exception("request %s failed", request_id)
            if started:
                raise
            await render(InternalError(), scope["path"], request_id)(scope, receive, wrapped)


def _request_id(scope: dict[str, Any] | Scope) -> str:
    """The client's own id if it is a plain word, else a new one."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
