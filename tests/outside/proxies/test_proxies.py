"""The service behind nginx, Caddy and Apache: each as docs/deploy has it, at the root and below a path."""

import contextlib
import json
import re
import time
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest
from sqlmodel import select

from api.access.site import PASSWORD
from api.labels import dark_modules, modules_of
from console.conftest import ADMIN
from machine_monitor.models.accounts.tables import Attempt
from outside.proxies.conftest import PREFIX
from outside.proxies.proxy import BROWSER_ADDRESS, NAME

pytestmark = [pytest.mark.outside, pytest.mark.timeout(300)]
SIGN_IN = {"trigram": ADMIN, "password": PASSWORD}
# A change takes this long from its commit to a reader at most; the proxies add milliseconds.
SOON_SECONDS = 3.0


@contextlib.contextmanager
def signed_in(endpoint):
    """Yield a browser that has signed in."""
    with endpoint.browser() as browser:
        response = browser.post("/session", json=SIGN_IN)
        assert response.status_code == 200, response.text
        browser.headers["X-CSRF-Token"] = response.json()["csrf_token"]
        yield browser


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_a_browser_signs_in_writes_and_follows_changes(proxy, prefix):
    endpoint = proxy[prefix]
    with signed_in(endpoint) as browser:
        (session,) = [cookie for cookie in browser.cookies.jar if cookie.name.endswith("mm_session")]
        assert (session.path, session.secure) == (prefix or "/", True)
        with browser.stream("GET", "/events", headers={"Accept": "text/event-stream"}) as events:
            lines = events.iter_lines()
            next(lines)
            began = time.monotonic()
            made = browser.post("/machines", json={"name": f"Saw {began}"})
            change = next(line for line in lines if line.startswith("data:"))
            assert (json.loads(change[5:])["key"], time.monotonic() - began < SOON_SECONDS) == (f"Saw {began}", True)
        assert made.status_code == 201, made.text
        assert made.headers["Location"] == f"{prefix}/machines/{quote(f'Saw {began}')}"
        assert "max-age" in made.headers["Strict-Transport-Security"]
        link = browser.post(f"/users/{ADMIN}/invitation").json()["url"]
        assert link.startswith(f"{endpoint.origin}{prefix}/ui/setup#code=")


@pytest.mark.parametrize("prefix", ["", PREFIX])
@pytest.mark.parametrize("proxy", ["nginx", "apache2"], indirect=True)
def test_http_is_redirected_to_https(proxy, prefix):
    """By 308, which keeps the method: a client that follows it does not turn a POST into a GET. Caddy: test_caddy."""
    address = f"http://127.0.0.1:{proxy[prefix].http_port}{prefix}"
    response = httpx2.post(f"{address}/logs?dry_run=true", headers={"Host": NAME})
    assert (response.status_code, response.headers["Location"]) == (308, f"https://{NAME}{prefix}/logs?dry_run=true")


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_a_failed_sign_in_counts_for_the_address_of_the_browser(proxy, services, prefix):
    """Neither for the proxy's address, nor for one that the client has chosen."""
    name = uuid4().hex[:8]
    with proxy[prefix].browser() as browser:
        forged = {"X-Forwarded-For": "192.0.2.7"}
        response = browser.post("/session", json={"trigram": name, "password": "wrong"}, headers=forged)
        assert response.status_code == 401, response.text
    service = services["below" if prefix else "root"]
    subjects = service.write(lambda tx: tx.session.scalars(select(Attempt.subject)).all())
    assert [subject for subject in subjects if name in subject] == [f"address {BROWSER_ADDRESS} account {name}"]


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_pages_of_other_sites_are_refused(proxy, prefix):
    other = {"Origin": "https://evil.example", "Referer": "https://evil.example/", "Sec-Fetch-Site": "cross-site"}
    with signed_in(proxy[prefix]) as browser:
        for headers in (other, other | {"Sec-Fetch-Site": "same-site"}):
            response = browser.put("/machines/Forged", json={}, headers=headers)
            assert (response.status_code, response.json()["code"]) == (403, "cross-site")
    # Without Sec-Fetch-Site, as on plain HTTP, the host decides.
    old = {name: value for name, value in other.items() if name != "Sec-Fetch-Site"}
    with proxy[prefix].client(**old) as client:
        assert client.post("/session", json=SIGN_IN).json()["code"] == "cross-site"
    with proxy[prefix].client(Origin=proxy[prefix].origin) as client:
        assert client.post("/session", json=SIGN_IN).status_code == 200


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_names_bodies_and_downloads_pass_unchanged(proxy, prefix):
    with signed_in(proxy[prefix]) as browser:
        name = quote("50 %2F é?#", safe="")
        assert browser.put(f"/machines/{name}", json={"comment": "x" * 1500}).status_code in (200, 201)
        read = browser.get(f"/machines/{name}")
        assert (read.status_code, read.headers["Content-Encoding"]) == (200, "gzip")
        written = browser.patch(f"/machines/{name}", json={"sector": "2B"}, headers={"If-Match": read.headers["ETag"]})
        assert written.status_code == 200, written.text
        assert browser.get(f"/machines/{name}", headers={"If-None-Match": written.headers["ETag"]}).status_code == 304
        comment = f"{uuid4()} {'long ' * 1500}"
        items = [{"machine": "50 %2F é?#", "type": "info", "comment": comment} for _ in range(300)]
        bulk = browser.post("/logs/bulk", json={"mode": "partial", "items": items})
        assert (bulk.status_code, bulk.json()["counts"]["created"]) == (200, 300)
        sent = browser.post(f"/machines/{name}/attachments", files=[("files", ("a.bin", bytes(15 * 1024**2)))] * 2)
        assert sent.status_code == 201, sent.text
        export = browser.get(f"/logs.ndjson?comment__startswith={comment[:36]}")
        assert (export.headers["Content-Encoding"], len(export.text.splitlines())) == ("gzip", 300)


def test_below_a_path_every_address_leads_to_the_service(proxy):
    endpoint = proxy[PREFIX]
    with contextlib.ExitStack() as stack, signed_in(endpoint) as browser:
        outside = stack.enter_context(endpoint._replace(prefix="").browser())
        outside.cookies = browser.cookies
        page = browser.get("/machines?limit=1")
        (following,) = re.findall('<([^>]+)>; rel="next"', page.headers["Link"])
        assert outside.get(following).status_code == 200
        for path in ("/docs", "/redoc", "/ui/", "/ui/machines/x"):
            text = browser.get(path).text
            addresses = set(re.findall(r'(?:href|src|url)(?:=|: )["\']([^"\'#]+)["\']', text))
            assert len(addresses) >= 2, path
            assert {each: outside.get(each).status_code for each in addresses} == dict.fromkeys(addresses, 200)
        assert browser.get("/openapi.json").json()["servers"] == [{"url": PREFIX}]
        missing = browser.get("/machines/none").json()
        assert outside.get(missing["type"]).json()["code"] == "not-found"
        (machine,) = page.json()["items"]
        label = browser.get(f"/machines/{quote(machine['name'], safe='')}/label.svg").text
        assert dark_modules(label) == modules_of(f"{endpoint.origin}{PREFIX}/ui/m/{machine['id']}")


# nginx as sites have it, without Sec-Fetch-Site where the browser is old or the address is plain HTTP.


def test_a_browser_signs_in_though_nginx_changes_the_host(variants):
    for name in ("bare", "without_port", "compressing", "removing"):
        with signed_in(variants[name]) as browser:
            assert browser.put("/machines/Through", json={}).status_code in (200, 201), name
    page = {"Origin": variants["bare"].origin}
    with variants["bare"].client(**page) as client:
        response = client.post("/session", json=SIGN_IN)
        assert (response.status_code, response.json()["code"]) == (403, "cross-site")
        assert "X-Forwarded-Host" in response.json()["detail"]


def test_an_edit_works_with_the_etag_of_a_proxy_that_compresses(variants):
    with signed_in(variants["compressing"]) as browser:
        read = browser.get("/machines?limit=1&fields=name")
        path = f"/machines/{quote(read.json()['items'][0]['name'], safe='')}"
        read = browser.get(path)
        assert (read.headers["Content-Encoding"], read.headers["ETag"][:3]) == ("gzip", 'W/"')
        for status in (200, 412):
            response = browser.patch(path, json={"usage": "test"}, headers={"If-Match": read.headers["ETag"]})
            assert response.status_code == status, response.text


def test_a_proxy_may_remove_the_prefix(variants):
    with signed_in(variants["removing"]) as browser:
        made = browser.post("/machines", json={"name": "Removed"})
        assert made.headers["Location"] == f"{PREFIX}/machines/Removed"
        assert f'src="{PREFIX}/ui/assets/' in browser.get("/ui/machines").text
        assert browser.get("/docs").text.count(f'"{PREFIX}/docs/static/') >= 3


def test_headers_of_a_proxy_that_is_not_trusted_count_for_nothing(variants, services):
    endpoint = variants["distrusted"]
    with endpoint.client(Origin=endpoint.origin) as client:
        response = client.post("/session", json=SIGN_IN)
        assert (response.status_code, response.json()["code"]) == (403, "cross-site")
    with endpoint.browser() as browser:
        response = browser.post("/session", json=SIGN_IN)
        assert (response.status_code, "Secure" in response.headers["Set-Cookie"]) == (200, False)
        assert "Strict-Transport-Security" not in response.headers
        browser.headers["X-CSRF-Token"] = response.json()["csrf_token"]
        link = browser.post(f"/users/{ADMIN}/invitation").json()["url"]
        assert link.startswith(f"{services['distrusting'].address}/ui/setup#code=")
