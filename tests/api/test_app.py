"""What all endpoints have in common: crashes, request ids, HEAD, CORS and the description of the service."""

import asyncio
import json
import re

import httpx2
import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect

from api.paced_client import PacedClient, running
from conftest import serving
from machine_monitor.api.access import needs
from machine_monitor.api.app import create_app
from machine_monitor.api.middleware import RequestMiddleware
from machine_monitor.api.route import create_router
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.query.language import folding, search_terms
from machine_monitor.services.access.permissions import READ


async def test_a_crash_gives_a_problem_that_does_not_reveal_the_cause(client, monkeypatch, caplog):
    async def crash(*_):
        raise RuntimeError("secret-reason")

    monkeypatch.setattr(Database, "fetch", crash)
    response = await client.get("/logs", headers={"X-Request-ID": "mine-1"})
    assert (response.status_code, response.json()["code"], response.json()["request_id"]) == (500, "internal", "mine-1")
    assert response.headers["X-Request-ID"] == "mine-1"
    assert "secret-reason" not in response.text
    assert "secret-reason" in caplog.text


@pytest.fixture
def compiled(monkeypatch):
    """The long patterns that are compiled from now on; none is known before."""
    for cached in (folding._dropped_marks, search_terms._patterns, search_terms._needs_patterns):
        cached.cache_clear()
    re.purge()
    patterns, compile_ = [], re._compiler.compile

    def count(pattern, flags=0):
        if len(pattern) > 1_000:
            patterns.append(pattern)
        return compile_(pattern, flags)

    monkeypatch.setattr(re._compiler, "compile", count)
    return patterns


async def test_the_patterns_of_a_search_are_compiled_before_the_first_request(sqlite_database_url, compiled):
    """Compiling them takes up to 80 ms each, for which all other requests would wait."""
    async with serving(Settings(database_url=sqlite_database_url)) as client:
        assert compiled
        compiled.clear()
        for text in ("oil", "Dépôt", "ключ", "主轴", "ที่นี่", "\U00020000", "ёй\u0301", "\U00020000\u0301é"):
            assert (await client.get("/logs", params={"q": text})).status_code == 200
    assert compiled == []


async def test_a_crash_after_the_response_started_sends_no_second_response():
    async def half(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    sent = []

    async def send(message):
        sent.append(message)

    with pytest.raises(RuntimeError):
        await RequestMiddleware(half)({"type": "http", "method": "GET", "path": "/", "headers": []}, None, send)
    assert len(sent) == 1


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "é"])
async def test_an_invalid_request_id_is_replaced(client, given):
    response = await client.get("/healthz", headers={"X-Request-ID": given.encode()})
    assert response.headers["X-Request-ID"] not in ("", given)


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/readyz", "/docs", "/docs/filters", "/redoc", "/openapi.json", "/problems/gone", "/logs"]
)
async def test_head_is_get_without_its_body(client, path):
    got, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]
    assert head.headers["Content-Type"] == got.headers["Content-Type"]


async def test_behind_a_prefix_each_path_is_the_same_operation(sqlite_database_url):
    app = create_app(Settings(database_url=sqlite_database_url, open=True))
    transport = httpx2.ASGITransport(app, root_path="/plant")
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://machine-monitor/plant") as client,
    ):
        assert (await client.get("/logs")).json()["items"] == []
        assert (await client.get("/machines/none")).json()["code"] == "not-found"
        assert (await client.put("/logs/stats", json={})).status_code == 405


async def test_the_service_describes_itself_by_links_that_work(client):
    root = (await client.get("/")).json()
    assert (root["name"], root["timezone"]) == ("Machine Monitor", "UTC")
    for link in root["links"].values():
        assert (await client.get(link)).status_code == 200


async def test_swagger_loads_files_only_from_this_host(client):
    page = (await client.get("/docs")).text
    assert "http://" not in page
    assert "https://" not in page
    for file in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert f"/docs/static/{file}" in page
        assert (await client.get(f"/docs/static/{file}")).status_code == 200


async def test_a_database_of_another_version_is_not_ready(client, monkeypatch):
    monkeypatch.setattr("machine_monitor.database.schema.head_revision", lambda: "9999")
    response = await client.get("/readyz")
    assert (response.status_code, response.json()["code"], response.headers["Retry-After"]) == (
        503,
        "database-busy",
        "1",
    )


async def test_only_allowed_cors_origins_may_read_responses_and_their_headers(sqlite_database_url):
    settings = Settings(database_url=sqlite_database_url, cors_origins="https://one.example, https://two.example")
    async with serving(settings) as client:
        response = await client.get("/machines", headers={"Origin": "https://two.example"})
        assert response.headers["Access-Control-Allow-Origin"] == "https://two.example"
        exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"ETag", "Retry-After", "Content-Disposition", "Idempotency-Replayed", "WWW-Authenticate"} < set(exposed)
        missing = await client.get("/machines/none", headers={"Origin": "https://two.example"})
        assert (missing.status_code, missing.headers["Access-Control-Allow-Origin"]) == (404, "https://two.example")
        headers = {"Origin": "https://one.example", "Access-Control-Request-Method": "PATCH"}
        preflight = await client.options("/machines/x", headers=headers)
        assert preflight.status_code == 200
        assert preflight.headers["X-Request-ID"]
        other = await client.get("/machines", headers={"Origin": "https://other.example"})
        assert "Access-Control-Allow-Origin" not in other.headers


def test_an_unsupported_endpoint_signature_is_refused_at_declaration():
    with pytest.raises(TypeError, match="unheard"):

        @create_router("test").get("/test", dependencies=[needs(READ)])
        async def endpoint(unheard: int) -> None: ...


async def test_the_middleware_passes_lifespan_events_through():
    app = FastAPI()
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(RequestMiddleware(app))),
    ):
        scope_types = []

        async def inner(scope, *_):
            scope_types.append(scope["type"])

        await RequestMiddleware(inner)({"type": "lifespan"}, None, None)
        assert scope_types == ["lifespan"]


async def test_a_path_that_is_not_utf_8_is_a_bad_request(client):
    response = await client.put("/machines/%FF", json={})
    assert (response.status_code, response.json()["code"]) == (400, "bad-request")


async def test_a_problem_is_short_for_any_input(client):
    responses = [
        await client.post("/machines", json={f"field {number}": 1 for number in range(20_000)}),
        await client.get("/logs?" + "&".join(f"unheard{number}=" for number in range(500))),
    ]
    for response in responses:
        assert response.status_code == 422
        assert len(response.text) < 100_000


async def test_a_response_with_related_records_is_never_304(client):
    await client.put("/machines/Saw", json={})
    log = (await client.post("/logs", json={"machine": "Saw", "type": "info"})).json()["uuid"]
    headers = {"If-None-Match": '"1"'}
    assert (await client.get(f"/logs/{log}", headers=headers)).status_code == 304
    await client.patch("/machines/Saw", json={"sector": "2B"})
    response = await client.get(f"/logs/{log}?expand=machine", headers=headers)
    assert (response.status_code, response.json()["expanded"]["machine"]["sector"]) == (200, "2B")


async def test_a_request_without_a_free_reader_gets_database_busy(sqlite_database_url, monkeypatch):
    monkeypatch.setattr("machine_monitor.database.connect.WAIT_SECONDS", 0.05)
    monkeypatch.setattr("machine_monitor.database.engines.sqlite.driver.SqliteDriver.readers", 0)
    async with serving(Settings(database_url=sqlite_database_url)) as client:
        response = await client.get("/logs?q=word")
        assert (response.status_code, response.json()["code"]) == (503, "database-busy")


async def test_a_disconnected_client_is_not_logged_as_an_error(caplog):
    async def gone(*_):
        raise ClientDisconnect

    await RequestMiddleware(gone)({"type": "http", "method": "GET", "path": "/", "headers": []}, None, None)
    assert caplog.text == ""


async def test_a_request_that_is_cancelled_at_shutdown_is_answered(sqlite_database_url, monkeypatch):
    async with running(sqlite_database_url) as app:
        monkeypatch.setattr(app.state.database, "fetch", lambda *_: asyncio.Event().wait())
        client = PacedClient(app, "/logs")
        await asyncio.sleep(0.05)
        client.task.cancel()
        start, body = await client.take(2)
        assert (start["status"], json.loads(body["body"])["code"]) == (503, "database-busy")
        # What is raised here, uvicorn logs with a traceback.
        await client.task
