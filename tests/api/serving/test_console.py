"""The files of the console: routes, caching, compression and security headers."""

import gzip

import pytest

from machine_monitor.api.app import create_app
from machine_monitor.api.serving import console
from machine_monitor.config import Settings

PAGE = "<!doctype html><title>Console</title>"
SCRIPT = "export const words = 'Machine Monitor';\n" * 20
FILES = {
    "index.html": PAGE,
    "assets/main-B1x.js": SCRIPT,
    "assets/packed-C2y.js": SCRIPT,
    "assets/packed-C2y.js.br": "as the build compressed it",
    "sw.js": "// worker",
    ".built": "digest",
    "notes.txt": "x",
}


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Replace the console of this checkout by a few files."""
    for name, content in FILES.items():
        path = tmp_path / "web" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    served = console.load(tmp_path / "web")
    monkeypatch.setattr(console, "load", lambda: served)


@pytest.fixture
def not_built(tmp_path, monkeypatch):
    nothing = console.load(tmp_path / "web")
    monkeypatch.setattr(console, "load", lambda: nothing)


@pytest.fixture
def web(built, client):  # noqa: ARG001 -- must run before the application starts
    return client


@pytest.mark.parametrize("path", ["/ui/", "/ui/index.html", "/ui/logs", "/ui/m/12", "/ui/logs/x?q=0012&type=a&type=b"])
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
async def test_client_side_routes_serve_the_page(web, path, accept):
    answer = await web.get(path, headers={"Accept": accept})
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/ui/assets/gone.js", "/ui/assets/", "/ui/../notes.txt/assets/x"])
async def test_a_missing_asset_is_404_not_the_page(web, path):
    answer = await web.get(path, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


@pytest.mark.parametrize("path", ["/ui/.built", "/ui/notes.txt"])
async def test_only_console_files_are_served(web, path):
    assert (await web.get(path)).text == PAGE


async def test_only_file_names_with_a_digest_are_cached_forever(web):
    asset, worker = await web.get("/ui/assets/main-B1x.js"), await web.get("/ui/sw.js")
    assert (asset.text, worker.text) == (SCRIPT, "// worker")
    assert asset.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert worker.headers["Cache-Control"] == "no-cache"
    assert asset.headers["Content-Type"] == worker.headers["Content-Type"] == "text/javascript; charset=utf-8"


async def test_files_are_compressed_if_the_client_accepts_it(web):
    request = web.build_request("GET", "/ui/assets/main-B1x.js", headers={"Accept-Encoding": "deflate, gzip;q=0.8"})
    answer = await web.send(request, stream=True)
    sent = b"".join([part async for part in answer.aiter_raw()])
    assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(sent).decode() == SCRIPT
    assert len(sent) < len(SCRIPT)
    plain = await web.get("/ui/assets/main-B1x.js", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.content.decode() == SCRIPT


async def test_the_brotli_file_of_the_build_is_preferred(web):
    request = web.build_request("GET", "/ui/assets/packed-C2y.js", headers={"Accept-Encoding": "gzip, br"})
    answer = await web.send(request, stream=True)
    assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == ("br", "Accept-Encoding")
    assert b"".join([part async for part in answer.aiter_raw()]) == b"as the build compressed it"
    # It is not a file of its own.
    assert (await web.get("/ui/assets/packed-C2y.js.br")).status_code == 404


async def test_a_cached_file_gets_304(web):
    first = await web.get("/ui/")
    again = await web.get("/ui/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    by_proxy = first.headers["ETag"].removeprefix("W/")[:-1] + '-gzip"'
    assert (await web.get("/ui/", headers={"If-None-Match": by_proxy})).status_code == 304
    assert (await web.get("/ui/", headers={"If-None-Match": '"other"'})).status_code == 200


async def test_the_csp_of_the_page_allows_only_this_host(web):
    policy = (await web.get("/ui/")).headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    sources = dict(part.split(" ", 1) for part in policy.split("; "))
    assert sources["default-src"] == sources["base-uri"] == sources["frame-ancestors"] == "'none'"
    assert sources["script-src"] == sources["style-src"] == sources["connect-src"] == "'self'"
    # Pictures of files that wait on the device. A script, a frame or a request cannot be a blob.
    assert sources["img-src"] == "'self' data: blob:"
    assert policy.count("blob:") == 1
    assert sources["require-trusted-types-for"] == "'script'"
    assert (await web.get("/logs")).headers["Content-Security-Policy"] != policy


async def test_head_is_allowed_and_a_write_is_not(web):
    head = await web.head("/ui/")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["Content-Length"]) > 0
    written = await web.post("/ui/")
    assert (written.status_code, written.json()["code"]) == (405, "method-not-allowed")


async def test_the_console_path_without_slash_redirects(web):
    answer = await web.get("/ui")
    assert (answer.status_code, answer.headers["Location"]) == (308, "/ui/")


async def test_the_root_redirects_browsers_and_links_programs_to_the_console(web):
    led = await web.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (led.status_code, led.headers["Location"], led.headers["Vary"]) == (303, "/ui/", "Accept")
    answer = await web.get("/")
    assert (answer.json()["links"]["ui"], answer.headers["Vary"]) == ("/ui/", "Accept")


@pytest.mark.usefixtures("not_built")
async def test_without_a_built_console_only_the_api_is_served(client):
    assert (await client.get("/ui/")).status_code == 404
    root = await client.get("/", headers={"Accept": "text/html"})
    assert "ui" not in root.json()["links"]


@pytest.mark.usefixtures("built")
async def test_only_the_console_and_swagger_files_are_mounted():
    mounts = [route.path for route in create_app(Settings.model_construct()).routes if not hasattr(route, "action")]
    assert set(mounts) == {"/ui", "/docs/static"}
