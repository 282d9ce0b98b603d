"""Documents of the API: Swagger UI, ReDoc, the OpenAPI document, and the tables of all filters."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import fastapi_offline
from fastapi import Request, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse
from pydantic_core import to_json

from machine_monitor.api import responses
from machine_monitor.api.access import needs
from machine_monitor.api.openapi import filters_page
from machine_monitor.api.openapi.finishing import servers
from machine_monitor.api.route import create_router
from machine_monitor.api.serving.headers import DATA_POLICY
from machine_monitor.api.serving.proxies.root_path import root_path_of
from machine_monitor.models import HISTORY, RESOURCES, TOKENS
from machine_monitor.services.access.permissions import PUBLIC

router = create_router("service")

# The scripts come from a package, so that the pages work without internet access.
STATIC = Path(fastapi_offline.__file__).with_name("static")
# An operation can have 50 parameters: the button stays in view below them.
SWAGGER_STYLE = (
    ".swagger-ui .execute-wrapper,.swagger-ui .btn-group"
    "{position:sticky;bottom:0;z-index:1;padding:8px 20px;background:#fff}"
)
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@router.get("/docs", dependencies=[needs(PUBLIC)], include_in_schema=False)
async def show_swagger(request: Request) -> Response:
    """Swagger UI."""
    root_path = root_path_of(request.scope)
    page = get_swagger_ui_html(
        openapi_url=f"{root_path}/openapi.json",
        title=request.app.title,
        swagger_js_url=f"{root_path}/docs/static/swagger-ui-bundle.js",
        swagger_css_url=f"{root_path}/docs/static/swagger-ui.css",
        swagger_favicon_url=f"{root_path}/docs/static/favicon.png",
        # By default Swagger UI sends the document to an online validator.
        swagger_ui_parameters={"validatorUrl": None, "tryItOutEnabled": True},
    )
    text = bytes(page.body).decode().replace("</head>", f"<style>{SWAGGER_STYLE}</style></head>")
    scripts = " ".join(map(_hash_source, _INLINE_SCRIPT.findall(text)))
    return _page(
        text,
        f"script-src 'self' {scripts}; style-src 'self' {_hash_source(SWAGGER_STYLE)}; "
        "img-src 'self' data:; connect-src 'self'",
    )


@router.get("/openapi.json", dependencies=[needs(PUBLIC)], include_in_schema=False)
async def send_openapi_document(request: Request) -> Response:
    """The OpenAPI document."""
    document = request.app.openapi() | {"servers": servers(root_path_of(request.scope))}
    return responses.json_response(to_json(document))


@router.get("/redoc", dependencies=[needs(PUBLIC)], include_in_schema=False)
async def show_redoc(request: Request) -> Response:
    """ReDoc."""
    root_path = root_path_of(request.scope)
    page = get_redoc_html(
        openapi_url=f"{root_path}/openapi.json",
        title=request.app.title,
        redoc_js_url=f"{root_path}/docs/static/redoc.standalone.js",
        redoc_favicon_url=f"{root_path}/docs/static/favicon.png",
        with_google_fonts=False,
    )
    # ReDoc writes styles into the page, and searches in a worker that it makes from a text.
    return _page(
        bytes(page.body).decode(),
        "script-src 'self'; worker-src blob:; style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'",
    )


@router.get("/docs/filters", dependencies=[needs(PUBLIC)], include_in_schema=False)
async def show_filters() -> Response:
    """Every field that can be filtered, with its operators."""
    return _page(filters_page.render((*RESOURCES, TOKENS, HISTORY)), f"style-src {_hash_source(filters_page.STYLE)}")


def _page(text: str, policy: str) -> Response:
    return HTMLResponse(text, headers={"Content-Security-Policy": f"{DATA_POLICY}; {policy}"})


def _hash_source(text: str) -> str:
    """Return the source expression of a Content-Security-Policy that allows this inline script or style."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
