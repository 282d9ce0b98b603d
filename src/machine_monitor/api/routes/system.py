"""The service itself: what it is, whether it lives, its documents."""

import asyncio
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import fastapi_offline
from fastapi import Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse

from machine_monitor.api.access import needs
from machine_monitor.api.deps import Db
from machine_monitor.api.openapi.documents import problems
from machine_monitor.api.route import tagged
from machine_monitor.api.serving import console, headers, metrics
from machine_monitor.errors import PROBLEMS, NotFound
from machine_monitor.services.access.permissions import READ, USE
from machine_monitor.services.checks import health

router = tagged("service")

# Swagger UI itself comes from a package: the page works with no network beyond this machine.
SWAGGER = Path(fastapi_offline.__file__).with_name("static")
PLACES = ("machines", "logs", "log-types", "users")
DOCUMENTS = ("docs", "openapi.json", "healthz", "readyz", "metrics")
_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


@router.get("/", dependencies=[needs(USE)])
async def describe_service(request: Request) -> Response:
    """What this service is, which time zone it keeps, and where things are; a browser is led to the console."""
    has_console = console.load() is not None
    vary = {"Vary": "Accept"}
    if has_console and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/ui/", 303, vary)
    described = {
        "name": request.app.title,
        "version": request.app.version,
        "timezone": request.app.state.settings.timezone,
        "links": {name: f"/{name}" for name in (*PLACES, *DOCUMENTS)} | ({"ui": "/ui/"} if has_console else {}),
    }
    return JSONResponse(described, headers=vary)


@router.get("/healthz", dependencies=[needs(USE)])
async def check_health() -> Response:
    """Whether the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", dependencies=[needs(USE)], responses=problems(503))
async def check_readiness(database: Db) -> Response:
    """Whether the database answers and has the schema of this version; 503 if not."""
    await health.check(database)
    return JSONResponse({"status": "ready"})


@router.get("/metrics", dependencies=[needs(READ)], response_class=PlainTextResponse)
async def read_metrics(database: Db) -> Response:
    """Requests, problems, the database's queues and sizes, for Prometheus; of all workers."""
    metrics.refresh(database)
    # In a thread: with many workers there are many files to read.
    found = await asyncio.to_thread(metrics.render)
    return Response(found, media_type="text/plain; version=0.0.4")


@router.get("/problems/{code}", dependencies=[needs(USE)], responses=problems(404))
async def describe_problem(code: str) -> Response:
    """What a problem's code means, and what to do."""
    problem = PROBLEMS.get(code)
    if problem is None:
        raise NotFound(f"There is no such problem; there are {', '.join(PROBLEMS)}.")
    return JSONResponse(
        {"code": code, "title": problem.title, "status": problem.status, "explanation": problem.explanation}
    )


@router.get("/docs", dependencies=[needs(USE)], include_in_schema=False)
async def show_documents(request: Request) -> Response:
    """Swagger UI."""
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=request.app.title,
        swagger_js_url="/docs/static/swagger-ui-bundle.js",
        swagger_css_url="/docs/static/swagger-ui.css",
        swagger_favicon_url="/docs/static/favicon.png",
        # By default a stranger's server is asked whether the document is valid.
        swagger_ui_parameters={"validatorUrl": None},
    )
    page.headers["Content-Security-Policy"] = _swagger_policy(bytes(page.body))
    return page


def _swagger_policy(page: bytes) -> str:
    """What Swagger UI needs: files and answers of this server, pictures within its style, and its one script."""
    scripts = [b64encode(sha256(script).digest()).decode() for script in _SCRIPT.findall(page)]
    hashes = " ".join(f"'sha256-{digest}'" for digest in scripts)
    return f"{headers.NOTHING}; script-src 'self' {hashes}; style-src 'self'; img-src 'self' data:; connect-src 'self'"
