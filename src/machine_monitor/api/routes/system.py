"""The service itself: description, health checks, metrics and documentation."""

import asyncio
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import fastapi_offline
from fastapi import Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse

from machine_monitor.api import responses
from machine_monitor.api.access import needs
from machine_monitor.api.deps import ClientDep, Db
from machine_monitor.api.openapi.documents import ANYWHERE, json_operation, problem_responses
from machine_monitor.api.route import create_router
from machine_monitor.api.serving import console, headers, metrics
from machine_monitor.api.serving.https import files, page
from machine_monitor.errors import PROBLEMS, NotFound
from machine_monitor.services.access.permissions import PUBLIC, READ, SEE_SERVICE
from machine_monitor.services.checks import health
from machine_monitor.services.checks.service_state import ServiceState, read_state

router = create_router("service")

# Swagger UI comes from a package, so that the page works without internet access.
SWAGGER = Path(fastapi_offline.__file__).with_name("static")
RESOURCES = ("machines", "logs", "log-types", "users")
DOCUMENTS = ("docs", "openapi.json", "healthz", "readyz", "metrics", "service")
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


@router.get("/", dependencies=[needs(PUBLIC)])
async def describe_service(request: Request) -> Response:
    """Describe the service: name, version, time zone and links. Browsers are redirected to the console."""
    has_console = console.load() is not None
    vary = {"Vary": "Accept"}
    if has_console and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/ui/", 303, vary)
    document = {
        "name": request.app.title,
        "version": request.app.version,
        "timezone": request.app.state.settings.timezone,
        "links": {name: f"/{name}" for name in (*RESOURCES, *DOCUMENTS)} | ({"ui": "/ui/"} if has_console else {}),
    }
    return JSONResponse(document, headers=vary)


@router.get("/healthz", dependencies=[needs(PUBLIC)])
async def check_health() -> Response:
    """Liveness probe: 200 if the process responds."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", dependencies=[needs(PUBLIC)], responses=problem_responses(503))
async def check_readiness(database: Db) -> Response:
    """Readiness probe: 200 if the database responds and has the schema of this version, otherwise 503."""
    await health.check(database)
    return JSONResponse({"status": "ready"})


@router.get("/metrics", dependencies=[needs(READ)], response_class=PlainTextResponse)
async def read_metrics(database: Db) -> Response:
    """Prometheus metrics of all workers: requests, problems, database queues and sizes."""
    metrics.refresh(database)
    # In a thread: each worker has several files to read.
    text = await asyncio.to_thread(metrics.render)
    return Response(text, media_type="text/plain; version=0.0.4")


@router.get("/service", dependencies=[needs(SEE_SERVICE)], **json_operation(ServiceState, *ANYWHERE, 422))
async def read_service_state(request: Request, _client: ClientDep, database: Db) -> Response:
    """The state of the service: version, health, database, settings, number of records, last change and last backup.

    Shows no secrets, and no URL of the database.
    """
    state = await database.read(lambda tx: read_state(tx, request.app.state.settings))
    return responses.json_response(state.model_dump_json().encode())


@router.get("/problems/{code}", dependencies=[needs(PUBLIC)], responses=problem_responses(404))
async def describe_problem(code: str) -> Response:
    """Explain a problem code: what it means, and what to do."""
    problem = PROBLEMS.get(code)
    if problem is None:
        raise NotFound(f"There is no such problem code. The codes are {', '.join(PROBLEMS)}.")
    return JSONResponse(
        {"code": code, "title": problem.title, "status": problem.status, "explanation": problem.explanation}
    )


@router.get(page.PATH, dependencies=[needs(PUBLIC)], include_in_schema=False)
async def show_https_page(request: Request) -> Response:
    """Tell how to install the certificate authority on a phone; 404 without `serve --https`."""
    return page.install_page(request, _authority(request), "/ui/")


@router.get(page.CERTIFICATE_PATH, dependencies=[needs(PUBLIC)], include_in_schema=False)
async def send_authority(request: Request) -> Response:
    """The certificate authority of `serve --https`."""
    return page.certificate(_authority(request))


@router.get("/docs", dependencies=[needs(PUBLIC)], include_in_schema=False)
async def show_documents(request: Request) -> Response:
    """Swagger UI."""
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=request.app.title,
        swagger_js_url="/docs/static/swagger-ui-bundle.js",
        swagger_css_url="/docs/static/swagger-ui.css",
        swagger_favicon_url="/docs/static/favicon.png",
        # By default Swagger UI sends the document to an online validator.
        swagger_ui_parameters={"validatorUrl": None},
    )
    page.headers["Content-Security-Policy"] = _swagger_policy(bytes(page.body))
    return page


def _authority(request: Request) -> files.Authority:
    settings = request.app.state.settings
    authority = files.read_authority(files.folder_of(settings)) if settings.https else None
    if authority is None:
        raise NotFound("This service has no certificate authority. `mm serve --https` makes one.")
    return authority


def _swagger_policy(page: bytes) -> str:
    """Return the Content-Security-Policy of Swagger UI: this server, inline images, and its one inline script."""
    scripts = [b64encode(sha256(script).digest()).decode() for script in _INLINE_SCRIPT.findall(page)]
    hashes = " ".join(f"'sha256-{digest}'" for digest in scripts)
    return (
        f"{headers.DATA_POLICY}; script-src 'self' {hashes}; style-src 'self'; img-src 'self' data:; connect-src 'self'"
    )
