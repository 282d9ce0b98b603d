"""The ASGI application: routes, middleware, and the lifecycle of the database."""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from machine_monitor.api.access import turn_key_of
from machine_monitor.api.middleware import ProblemMiddleware, RequestMiddleware, TurnMiddleware
from machine_monitor.api.openapi.finishing import finish
from machine_monitor.api.route import Route
from machine_monitor.api.routes import (
    account,
    attachments,
    changes,
    documentation,
    imports,
    log_types,
    logs,
    machines,
    mappings,
    reliability,
    reports,
    system,
    tokens,
    users,
)
from machine_monitor.api.serving import console, metrics, tracing
from machine_monitor.api.serving.conditional import ResponseCache
from machine_monitor.api.serving.headers import AllowedHosts
from machine_monitor.api.serving.logs import AccessLog
from machine_monitor.api.serving.proxies.forwarded import TrustedProxies
from machine_monitor.api.serving.stream_limits import OpenStreams
from machine_monitor.api.streaming import OutgoingBodies
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.errors import BadSetting
from machine_monitor.query.language import search_terms
from machine_monitor.services.access.authentication import Authenticator
from machine_monitor.services.audit import sealing
from machine_monitor.services.audit.live_feed import LiveFeed
from machine_monitor.services.checks import health
from machine_monitor.services.files.receiving import Files
from machine_monitor.services.idempotency import IdempotencyStore
from machine_monitor.services.imports.uploads.imports import Imports
from machine_monitor.services.projections import maintenance
from machine_monitor.services.projections.reliability import summing

logger = logging.getLogger(__name__)
# Starlette tries routes in this order, so the most used come first.
MODULES = (
    logs,
    machines,
    attachments,
    reliability,
    reports,
    log_types,
    users,
    changes,
    tokens,
    account,
    imports,
    mappings,
    system,
    documentation,
)
# Threshold of Python's garbage collector: allocations minus deallocations. The default costs 10 % of a bulk request.
GC_THRESHOLD = 20_000
# How long a thread waits for the interpreter's lock (GIL) before it asks the holder to release it: the event loop
# behind a thread that computes, and the reverse. Python's default is 5 ms.
SWITCH_SECONDS = 0.0002
# What the service does in the background as long as it runs.
PERIODIC_TASKS = (
    metrics.refresh_periodically,
    health.watch_file,
    sealing.seal_periodically,
    summing.sum_periodically,
)
EXPOSED = (
    "Content-Disposition",
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "Retry-After",
    "WWW-Authenticate",
    "Warning",
    "X-Read-After",
    "X-Request-ID",
    "X-Total-Count",
)


class Application(FastAPI):
    """FastAPI without its default middleware, which is unused here and makes a GET of one log 10 % slower."""

    def build_middleware_stack(self) -> ASGIApp:
        """Build the stack: added middleware, then `ProblemMiddleware`. Crashes are handled by `RequestMiddleware`."""
        app: ASGIApp = ProblemMiddleware(self.router)
        for layer, arguments, options in reversed(self.user_middleware):
            app = layer(app, *arguments, **options)
        return app


def create_app(
    settings: Settings, access_log: AccessLog | None = None, traces: tracing.Tracing | None = None
) -> FastAPI:
    """Create the application. It opens its database on startup; `access_log` and `traces` receive each request."""
    check_root_path(settings.root_path)
    app = Application(
        title="Machine Monitor",
        summary="Interventions on machines: record them, and find any of them at once.",
        version=version("machine-monitor"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=tracing.TELEMETRY_OFF if traces is None else traces.telemetry,
        lifespan=_lifespan,
    )
    _create_state(app, settings, traces)
    for module in MODULES:
        # `include_router` would match each request twice.
        app.router.routes.extend(module.router.routes)
    app.mount("/docs/static", StaticFiles(directory=documentation.STATIC))
    if built := console.load():
        app.mount("/ui", built)
        app.add_route("/ui", console.redirect_to_slash, include_in_schema=False)
    _complete_openapi(app)
    if access_log is not None and traces is not None:
        access_log = tracing.add_trace_id(access_log)
    _add_middleware(app, settings, access_log)
    return app


def check_root_path(root_path: str) -> None:
    """Raise `BadSetting` if the root path begins like a path of the API, from which it could not be told apart."""
    first = root_path[1:].partition("/")[0]
    routes = [route for module in MODULES for route in module.router.routes if isinstance(route, Route)]
    taken = {"ui", *(route.path[1:].partition("/")[0] for route in routes)}
    if root_path and first in taken:
        raise BadSetting(f"MM_ROOT_PATH cannot begin with /{first}, which is a path of the API. Choose another path.")


def _add_middleware(app: FastAPI, settings: Settings, access_log: AccessLog | None) -> None:
    """Add the layers around each request, the outermost last."""
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            # No credentials with the wildcard origin: Starlette would allow the cookies of every site.
            allow_credentials="*" not in settings.cors_origins,
            expose_headers=EXPOSED,
        )
    app.add_middleware(TurnMiddleware, key_of=turn_key_of)
    hosts = AllowedHosts(settings.allowed_hosts)
    app.add_middleware(
        RequestMiddleware,
        hosts=hosts,
        access_log=access_log,
        hsts=not settings.https,
        root_path=settings.root_path,
    )
    app.add_middleware(TrustedProxies)


def _create_state(app: FastAPI, settings: Settings, traces: tracing.Tracing | None) -> None:
    """Create what all requests of the process share."""
    app.state.settings = settings
    app.state.idempotency_store = IdempotencyStore()
    app.state.traces = traces
    create_database = Database if traces is None else traces.database
    app.state.database = create_database(
        settings.database_url,
        settings.query_timeout,
        metrics.WRITE_BATCH_SIZE.observe,
        settings.database_read_url,
        metrics.count_read,
    )
    app.state.outgoing = OutgoingBodies()
    app.state.response_cache = ResponseCache(settings.cache_size)
    app.state.authenticator = Authenticator(app.state.database, settings)
    app.state.live_feed = LiveFeed(app.state.database)
    app.state.open_streams = OpenStreams()
    app.state.files = Files(settings)
    app.state.imports = Imports(app.state.database, app.state.files, settings)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    database: Database = app.state.database
    try:
        database.hold_service_lock()
        maintenance.prepare_database(database, app.state.settings.zone)
        await database.open()
        await asyncio.to_thread(search_terms.compile_patterns)
        # Exclude the objects of the startup from collection, and collect rarely: requests leave few cycles.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        sys.setswitchinterval(SWITCH_SECONDS)
        tasks = [asyncio.create_task(each(database)) for each in PERIODIC_TASKS]
        tasks.append(asyncio.create_task(app.state.imports.sweep_periodically()))
        for task in tasks:
            task.add_done_callback(_report_failure)
        yield
        for task in tasks:
            task.cancel()
    finally:
        await app.state.authenticator.close()
        await app.state.imports.close()
        await app.state.files.close()
        await database.close()
        if app.state.traces is not None:
            await app.state.traces.close()


def _report_failure(task: asyncio.Task[None]) -> None:
    """Log why a periodic task has ended: none ends by itself while the service runs."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a periodic task of the service has failed: %r", task, exc_info=error)


def _complete_openapi(app: FastAPI) -> None:
    """Post-process the OpenAPI document that FastAPI generates."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = finish(generate())
        return app.openapi_schema

    app.openapi = openapi
