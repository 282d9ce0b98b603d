"""The headers X-Forwarded-For, -Proto and -Host, which count only if a trusted proxy sends them.

Trusted are the addresses in FORWARDED_ALLOW_IPS, as uvicorn reads it. The application looks at the headers itself, so
that they mean the same under every ASGI server.
"""

import os

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from machine_monitor.api.serving.headers import is_host

VARIABLE = "FORWARDED_ALLOW_IPS"
# uvicorn's default.
THIS_MACHINE = "127.0.0.1,::1"
# Key in the ASGI scope: True if a trusted proxy sent the request.
FROM_PROXY = "from_proxy"


class TrustedProxies:
    """Middleware that takes the client's address, the scheme and the host from the headers of trusted proxies."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = ProxyHeadersMiddleware(app, os.environ.get(VARIABLE, THIS_MACHINE))  # ty: ignore[invalid-argument-type] -- the types of the servers differ in names only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            scope[FROM_PROXY] = self._is_from_proxy(scope)
        await self._app(scope, receive, send)  # ty: ignore[invalid-argument-type] -- the same

    def _is_from_proxy(self, scope: Scope) -> bool:
        address, port = scope.get("client") or (None, None)
        # Port 0: `uvicorn machine_monitor.asgi:app` has already replaced a trusted proxy by its client.
        return address in self._app.trusted_hosts or port == 0


def requested_hosts(request: Request) -> list[str]:
    """Return the hosts, with their ports, by which the client may have requested this service: the likeliest first."""
    return [*_forwarded_hosts(request), *request.headers.getlist("host")]


def public_url(request: Request) -> str:
    """Return the URL of the service as its clients reach it, with a slash at the end."""
    forwarded = _forwarded_hosts(request)
    return str(request.base_url.replace(netloc=forwarded[0]) if forwarded else request.base_url)


def _forwarded_hosts(request: Request) -> list[str]:
    """Return the hosts in X-Forwarded-Host, if a trusted proxy sent it. Each proxy on the way appends its own."""
    if not request.scope.get(FROM_PROXY):
        return []
    given = ",".join(request.headers.getlist("x-forwarded-host")).split(",")
    return [host for host in map(str.strip, given) if is_host(host)]
