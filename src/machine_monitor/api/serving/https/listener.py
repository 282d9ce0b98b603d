"""A listener without TLS, from which phones get the authority before they trust it. All else is redirected to HTTPS.

It serves one page and one certificate, reads no cookie and no credential, and knows neither the API nor the database.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from machine_monitor.api.middleware import RequestMiddleware
from machine_monitor.api.serving.headers import AllowedHosts
from machine_monitor.api.serving.https import page
from machine_monitor.api.serving.https.files import Authority
from machine_monitor.errors import MonitorError, UsageError

# How often the names and the end of the certificate are checked while the service runs.
RENEWAL_SECONDS = 3600.0
MAX_PORT = 65535

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ListenerSettings:
    """The authority that the listener serves, the address of the HTTPS service, and the function that renews it."""

    authority: Authority
    host: str
    https_port: int
    renew: Callable[[], Any]

    @property
    def port(self) -> int:
        """The port without TLS: 80 if HTTPS has its standard port, otherwise the next one."""
        return port_beside(self.https_port)

    def https_url(self, host: str) -> str:
        """Return the URL of the service under this name."""
        return f"https://{host}" if self.https_port == 443 else f"https://{host}:{self.https_port}"


def port_beside(https_port: int) -> int:
    """Return the port of the listener; raises `UsageError` if phones could not find it."""
    if https_port in (0, MAX_PORT):
        raise UsageError(
            f"With --https, choose a --port from 1 to {MAX_PORT - 1}: phones keep the address, and get the "
            "certificate from the next port."
        )
    return 80 if https_port == 443 else https_port + 1


def create_app(setup: ListenerSettings) -> Starlette:
    """Create the application of the listener."""

    async def show_page(request: Request) -> Response:
        return page.install_page(request, setup.authority, f"{setup.https_url(_host(request))}/ui/")

    async def send_certificate(_: Request) -> Response:
        return page.certificate(setup.authority)

    async def redirect(request: Request) -> Response:
        # Not the decoded path: `%2F` is part of a name, and not a separator.
        path = request.scope.get("raw_path", b"/").decode("latin-1").partition("?")[0]
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{setup.https_url(_host(request))}{path}{query}", 307)

    @asynccontextmanager
    async def renewing(_: Starlette) -> AsyncGenerator[None]:
        task = asyncio.create_task(_renew_periodically(setup.renew))
        yield
        task.cancel()

    routes = [
        Route(page.PATH, show_page),
        Route(page.CERTIFICATE_PATH, send_certificate),
        Route("/{path:path}", redirect),
    ]
    return Starlette(routes=routes, lifespan=renewing)


@contextmanager
def listening(setup: ListenerSettings, allowed_hosts: list[str], options: dict[str, Any]) -> Generator[None]:
    """Run the listener in a thread, with uvicorn's `options`; raises `UsageError` if its port is in use."""
    app: ASGIApp = RequestMiddleware(create_app(setup), AllowedHosts(allowed_hosts))
    running = uvicorn.Server(uvicorn.Config(app, **options))
    with _bind(setup) as bound:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]}, name="https-page", daemon=True)
        thread.start()
        try:
            yield
        finally:
            running.should_exit = True
            thread.join()


def _bind(setup: ListenerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in setup.host else socket.AF_INET
    try:
        return socket.create_server((setup.host, setup.port), family=family)
    except OSError as error:
        raise UsageError(
            f"With --https, phones get the certificate from port {setup.port}, which cannot be used "
            f"({error.strerror or error}). Choose another --port: the certificate is on the port after it, "
            "or on port 80 beside 443."
        ) from None


def _host(request: Request) -> str:
    """Return the host by which the client reached the listener, without its port; middleware has checked it."""
    host = request.headers.get("host", "")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if not name or (name.count(":") and not name.startswith("[")):
        raise HTTPException(400)
    return name


async def _renew_periodically(renew: Callable[[], Any]) -> None:
    while True:
        await asyncio.sleep(RENEWAL_SECONDS)
        try:
            await asyncio.to_thread(renew)
        except (MonitorError, OSError) as error:
            logger.warning("the certificate was not renewed: %s", error)
