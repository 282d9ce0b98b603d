"""Security headers of every response, and the host names that the service accepts."""

import re
from base64 import b64encode
from hashlib import sha256

import httpx2
import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.access.site import PASSWORD, opened
from conftest import serving
from machine_monitor.api.app import create_app
from machine_monitor.config import Settings

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/logs"),
        ("GET", "/nowhere"),
        ("DELETE", "/logs"),
        ("POST", "/machines"),
        ("GET", "/docs"),
        ("GET", "/docs/static/swagger-ui.css"),
        ("GET", "/metrics"),
        ("OPTIONS", "/logs"),
    ],
)
async def test_every_response_has_the_security_headers(client, method, path):
    response = await client.request(method, path)
    assert {name: response.headers.get(name) for name in ALWAYS} == ALWAYS
    assert "camera=(self)" in response.headers["Permissions-Policy"]
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in response.headers
    names = [name for name, _ in response.headers.raw]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("form", ["csv", "ndjson", "xlsx"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_exports_are_not_stored(client, method, form):
    response = await client.request(method, f"/machines.{form}")
    assert {name: response.headers.get(name) for name in ALWAYS} == ALWAYS | {"Cache-Control": "no-store"}


async def test_500_and_304_responses_have_the_security_headers(client, monkeypatch):
    created = await client.put("/machines/Saw", json={})
    not_modified = await client.get("/machines/Saw", headers={"If-None-Match": created.headers["ETag"]})
    monkeypatch.setattr("machine_monitor.database.connect.Database.fetch", None)
    crashed = await client.get("/logs")
    assert (not_modified.status_code, crashed.status_code) == (304, 500)
    for response in (not_modified, crashed):
        assert {name: response.headers.get(name) for name in ALWAYS} == ALWAYS


async def test_responses_over_tls_have_hsts(sqlite_database_url):
    app = create_app(Settings(database_url=sqlite_database_url))
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://machine-monitor") as client:
        assert (await client.get("/healthz")).headers["Strict-Transport-Security"] == "max-age=31536000"


# The scheme in a header of a trusted proxy, with the scheme that it means. Unknown ones are ignored.
FORWARDED_SCHEMES = [("wss", "https"), ("https", "https"), ("ws", "http"), ("http", "http"), ("gopher", "http")]


@pytest.mark.parametrize(("forwarded", "expected"), FORWARDED_SCHEMES)
async def test_the_forwarded_scheme_decides_the_kind_of_cookie(sqlite_database_url, forwarded, expected):
    async with opened(sqlite_database_url) as site:
        await site.add_users()
        transport = httpx2.ASGITransport(ProxyHeadersMiddleware(site.app))
        headers = {"X-Forwarded-Proto": forwarded}
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            response = await client.post("/session", json={"trigram": "ADM", "password": PASSWORD})
            assert response.headers["Set-Cookie"].startswith("__Host-" if expected == "https" else "mm_session")
            assert ("Strict-Transport-Security" in response.headers) == (expected == "https")
            cookie = {"Cookie": response.headers["Set-Cookie"].split(";")[0]}
            assert (await client.get("/me", headers=cookie)).status_code == 200


@pytest.mark.parametrize(
    ("forwarded", "logged"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("a" * 300, None),
        ("unknown", None),
        ("<script>", None),
    ],
)
async def test_a_forwarded_address_that_is_none_is_ignored(sqlite_database_url, forwarded, logged):
    seen = []
    app = create_app(Settings(database_url=sqlite_database_url), lambda _event, **fields: seen.append(fields["remote"]))
    transport = httpx2.ASGITransport(ProxyHeadersMiddleware(app))
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport) as client:
        response = await client.get("http://localhost/healthz", headers={"X-Forwarded-For": forwarded})
    assert (response.status_code, seen) == (200, [logged])


async def test_the_csp_of_swagger_allows_only_its_own_scripts(client):
    response = await client.get("/docs")
    policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
    assert "unsafe" not in str(policy)
    for element in ("script", "style"):
        (text,) = re.findall(rf"<{element}>(.*?)</{element}>", response.text, re.DOTALL)
        digest = re.fullmatch(r"'self' 'sha256-(.*)'", policy[f"{element}-src"])[1]
        assert b64encode(sha256(text.encode()).digest()).decode() == digest
    assert '"validatorUrl": null' in response.text
    assert not re.search(r"\son\w+=|\sstyle=", response.text)


@pytest.mark.parametrize(
    ("host", "accepted"),
    [
        ("localhost", True),
        ("localhost:8000", True),
        ("LOCALHOST.", True),
        ("127.0.0.1", True),
        ("192.168.1.20:8000", True),
        ("[::1]:8000", True),
        ("[fe80::1%25eth0]", True),
        ("app", True),
        ("machine-monitor:8000", True),
        ("workshop.local", True),
        ("monitor.internal:80", True),
        ("machines.workshop.example", True),
        ("Machines.Workshop.Example.:443", True),
        ("line3.plant.example", True),
        ("plant.example", False),
        ("workshop.example", False),
        ("attacker.example", False),
        ("127.0.0.1.attacker.example", False),
        ("localhost.attacker.example:8000", False),
        ("attacker.example@localhost", False),
        ("[::1].attacker.example", False),
        ("999.1.1.1", False),
        ("é.example", False),
    ],
)
async def test_a_public_host_name_must_be_allowed(sqlite_database_url, host, accepted):
    settings = Settings(database_url=sqlite_database_url, allowed_hosts="machines.workshop.example, *.plant.example")
    async with serving(settings) as client:
        for _ in range(2):
            response = await client.get("/healthz", headers={"Host": host.encode()})
            assert response.status_code == (200 if accepted else 400)
        if not accepted:
            assert response.json()["code"] == "bad-request"
            assert "MM_ALLOWED_HOSTS" in response.json()["detail"]
            assert "attacker" not in response.text


async def test_every_host_name_can_be_allowed(sqlite_database_url):
    async with serving(Settings(database_url=sqlite_database_url, allowed_hosts="*")) as client:
        assert (await client.get("/healthz", headers={"Host": "attacker.example"})).status_code == 200


@pytest.mark.parametrize(
    ("version", "hosts", "status"),
    [("1.1", [], 400), ("1.0", [], 200), ("1.1", [b"a", b"a"], 400), ("1.1", [b"a"], 200), ("1.1", [b""], 200)],
)
async def test_a_request_must_have_exactly_one_host(sqlite_database_url, version, hosts, status):
    app = create_app(Settings(database_url=sqlite_database_url))
    scope = {"type": "http", "method": "GET", "path": "/healthz", "query_string": b"", "http_version": version}
    sent = []

    async def send(message):
        sent.append(message)

    await app({**scope, "headers": [(b"host", host) for host in hosts]}, None, send)
    assert sent[0]["status"] == status
