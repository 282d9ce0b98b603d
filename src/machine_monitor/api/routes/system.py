"""The service itself: description, health checks and metrics."""

import asyncio

from fastapi import Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse

from machine_monitor.api import responses
from machine_monitor.api.access import needs
from machine_monitor.api.deps import ClientDep, Db
from machine_monitor.api.openapi.documents import ANYWHERE, json_operation, problem_responses
from machine_monitor.api.route import create_router
from machine_monitor.api.serving import console, metrics
from machine_monitor.api.serving.https import files, page
from machine_monitor.api.serving.proxies.root_path import root_path_of
from machine_monitor.errors import PROBLEMS, NotFound
from machine_monitor.services.access.permissions import PUBLIC, READ, SEE_SERVICE
from machine_monitor.services.checks import health
from machine_monitor.services.checks.service_state import ServiceState, read_state

router = create_router("service")

RESOURCES = ("machines", "logs", "log-types", "users")
DOCUMENTS = ("docs", "openapi.json", "healthz", "readyz", "metrics", "service")


@router.get("/", dependencies=[needs(PUBLIC)])
async def describe_service(request: Request) -> Response:
    """Describe the service. Its name, version, time zone and links; browsers are redirected to the console."""
    has_console = console.load() is not None
    vary = {"Vary": "Accept"}
    if has_console and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/ui/", 303, vary)
    root_path = root_path_of(request.scope)
    links = {name: f"{root_path}/{name}" for name in (*RESOURCES, *DOCUMENTS)}
    document = {
        "name": request.app.title,
        "version": request.app.version,
        "timezone": request.app.state.settings.timezone,
        "links": links | ({"ui": f"{root_path}/ui/"} if has_console else {}),
    }
    return JSONResponse(document, headers=vary)


@router.get("/healthz", dependencies=[needs(PUBLIC)])
async def check_health() -> Response:
    """Check that the process responds. The liveness probe."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", dependencies=[needs(PUBLIC)], responses=problem_responses(503))
async def check_readiness(database: Db) -> Response:
    """Check that requests can be served. 503 if the database does not respond or has another schema.

    `warnings` is there if something needs attention: for example, the clock is behind the last entry of the history.
    """
    warnings = await health.check(database)
    return JSONResponse({"status": "ready"} | ({"warnings": warnings} if warnings else {}))


@router.get("/metrics", dependencies=[needs(READ)], response_class=PlainTextResponse)
async def read_metrics(database: Db) -> Response:
    """Read the metrics for Prometheus. Requests, problems, database queues and sizes, of all workers."""
    metrics.refresh(database)
    # In a thread: each worker has several files to read.
    text = await asyncio.to_thread(metrics.render)
    return Response(text, media_type="text/plain; version=0.0.4")


@router.get("/service", dependencies=[needs(SEE_SERVICE)], **json_operation(ServiceState, *ANYWHERE, 422))
async def read_service_state(request: Request, _client: ClientDep, database: Db) -> Response:
    """Read the state of the service.

    Its version, health, database, settings, number of records, last change and last backup. No secrets, and
    no URL of the database.
    """
    state = await database.read(lambda tx: read_state(tx, request.app.state.settings))
    return responses.json_response(state.model_dump_json().encode())


@router.get("/problems/{code}", dependencies=[needs(PUBLIC)], responses=problem_responses(404))
async def describe_problem(code: str) -> Response:
    """Explain a problem code. What it means, and what to do."""
    problem = PROBLEMS.get(code)
    if problem is None:
        raise NotFound(f"There is no such problem code. The codes are {', '.join(PROBLEMS)}.")
    return JSONResponse(
        {"code": code, "title": problem.title, "status": problem.status, "explanation": problem.explanation}
    )


@router.get(page.PATH, dependencies=[needs(PUBLIC)], include_in_schema=False)
async def show_https_page(request: Request) -> Response:
    """Tell how to install the certificate authority on a phone; 404 without `serve --https`."""
    return page.install_page(request, _authority(request), f"{root_path_of(request.scope)}/ui/")


@router.get(page.CERTIFICATE_PATH, dependencies=[needs(PUBLIC)], include_in_schema=False)
async def send_authority(request: Request) -> Response:
    """The certificate authority of `serve --https`."""
    return page.certificate(_authority(request))


def _authority(request: Request) -> files.Authority:
    settings = request.app.state.settings
    authority = files.read_authority(files.folder_of(settings)) if settings.https else None
    if authority is None:
        raise NotFound("This service has no certificate authority. `mm serve --https` makes one.")
    return authority
