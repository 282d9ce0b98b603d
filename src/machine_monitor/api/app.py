"""The application: its routes, its envelope, and the database that it lives with."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from machine_monitor.api.middleware import ProblemMiddleware, RequestMiddleware
from machine_monitor.api.openapi import documents
from machine_monitor.api.routes import account, changes, log_types, logs, machines, system, tokens, users
from machine_monitor.api.serving import console, metrics
from machine_monitor.api.serving.headers import AllowedHosts
from machine_monitor.api.serving.logs import AccessLog
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.services.access.authentication import Authenticator
from machine_monitor.services.idempotency import IdempotencyStore
from machine_monitor.services.projections import maintenance

# The first is found soonest.
ROUTERS = tuple(page.router for page in (logs, machines, log_types, users, changes, tokens, account, system))
# Objects more than are gone, before Python looks for cycles among them; its own 700 cost a tenth of a bulk call.
GARBAGE = 20_000
EXPOSED = ("ETag", "Link", "Location", "X-Total-Count", "X-Request-ID")


class Application(FastAPI):
    """FastAPI without the layers that nothing here needs; with them, one log cost a tenth more."""

    def build_middleware_stack(self) -> ASGIApp:
        """What was added, then the problems; crashes are the envelope's, and no route has anything to close."""
        app: ASGIApp = ProblemMiddleware(self.router)
        for layer, arguments, options in reversed(self.user_middleware):
            app = layer(app, *arguments, **options)
        return app


def create_app(settings: Settings, access_log: AccessLog | None = None) -> FastAPI:
    """The application for these settings, which opens its database when it starts and writes requests to a log."""
    app = Application(
        title="Machine Monitor",
        summary="Interventions on machines: record them, and find any of them at once.",
        version=version("machine-monitor"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # The log and the metrics are our own.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=_lifespan,
    )
    app.state.settings = settings
    app.state.retries = IdempotencyStore()
    app.state.database = Database(settings.database_url, settings.query_timeout, metrics.BATCH.observe)
    app.state.authenticator = Authenticator(app.state.database, settings)
    for router in ROUTERS:
        # `include_router` would match each request twice.
        app.router.routes.extend(router.routes)
    app.mount("/docs/static", StaticFiles(directory=system.SWAGGER))
    if built := console.load():
        app.mount("/ui", built)
        app.add_route("/ui", console.lead, include_in_schema=False)
    _document(app)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            # An origin of which any will do gets no cookies: the framework would let each of them use them.
            allow_credentials="*" not in settings.cors_origins,
            expose_headers=EXPOSED,
        )
    app.add_middleware(RequestMiddleware, hosts=AllowedHosts(settings.allowed_hosts), access_log=access_log)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    database: Database = app.state.database
    maintenance.prepare_database(database, app.state.settings.zone)
    try:
        await database.open()
        # What is there now stays; a request leaves no cycles worth looking for so often.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE)
        told = asyncio.create_task(metrics.keep(database))
        yield
        told.cancel()
    finally:
        await app.state.authenticator.close()
        await database.close()


def _document(app: FastAPI) -> None:
    """Let `/openapi.json` be FastAPI's document, finished."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = documents.finish(generate())
        return app.openapi_schema

    app.openapi = openapi
