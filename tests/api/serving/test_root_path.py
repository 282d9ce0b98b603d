"""MM_ROOT_PATH: everything that the service emits carries the prefix, and requests may have it or not."""

import re
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from api.access.site import PASSWORD, opened
from api.labels import dark_modules, modules_of
from conftest import client_of, serving
from machine_monitor.api.app import create_app
from machine_monitor.api.serving import console
from machine_monitor.config import Settings
from machine_monitor.errors import BadSetting
from servers import send_raw, status, threaded

ROOT = "/plant/mm"
SIGN_IN = {"trigram": "ADM", "password": PASSWORD}
PAGE = '<html data-root-path=""><link href="./icon.svg"><script src="./assets/main-1.js"></script></html>'
EITHER = pytest.mark.parametrize("prefix", [ROOT, ""], ids=["kept", "removed"])


@pytest.fixture(autouse=True)
def built(tmp_path, monkeypatch):
    """Replace the console of this checkout by a few files."""
    folder = tmp_path / "web"
    for name, content in {"index.html": PAGE, "icon.svg": "<svg/>", "assets/main-1.js": "0"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    served = console.load(folder)
    monkeypatch.setattr(console, "load", lambda: served)


@EITHER
async def test_links_locations_and_problems_carry_the_prefix(database_url, prefix):
    async with serving(Settings(database_url=database_url, root_path=ROOT)) as client:
        for name in ("Saw", "a b", "Press"):
            made = await client.post(
                f"{prefix}/machines", json={"name": name}, headers={"Idempotency-Key": quote(name)}
            )
            assert made.headers["Location"] == f"{ROOT}/machines/{quote(name)}"
            # A retry that takes the other way is the same request.
            other = "" if prefix else ROOT
            again = await client.post(
                f"{other}/machines", json={"name": name}, headers={"Idempotency-Key": quote(name)}
            )
            assert (again.headers["Location"], again.content) == (made.headers["Location"], made.content)
        first = await client.get(f"{prefix}/machines?limit=2&sort=name")
        address = re.fullmatch('<(.+)>; rel="next"', first.headers["Link"])[1]
        assert address.startswith(f"{ROOT}/machines?")
        for path in (address, address.removeprefix(ROOT)):
            assert [item["name"] for item in (await client.get(path)).json()["items"]] == ["a b"]
        missing = (await client.get(f"{prefix}/machines/none")).json()
        assert (missing["type"], missing["instance"]) == (f"{ROOT}/problems/not-found", f"{ROOT}/machines/none")
        assert (await client.get(missing["type"])).json()["code"] == "not-found"
        bulk = {"mode": "partial", "items": [{"machine": "none", "type": "info"}]}
        (result,) = (await client.post(f"{prefix}/logs/bulk", json=bulk)).json()["results"]
        assert result["problem"]["type"] == f"{ROOT}/problems/unknown-machine"
        assert (await client.put(f"{prefix}/logs/stats", json={})).status_code == 405
        nowhere = (await client.get(f"{prefix}/ui/assets/gone.js")).json()
        assert (nowhere["type"], nowhere["instance"]) == (f"{ROOT}/problems/not-found", f"{ROOT}/ui/assets/gone.js")
        misspelt = (await client.get(f"{prefix}/machinse")).json()
        assert f"Did you mean '{ROOT}/machines'?" in misspelt["detail"]
        service = (await client.get(f"{prefix}/")).json()
        for link in service["links"].values():
            assert link.startswith(f"{ROOT}/")
            assert (await client.get(link)).status_code == 200


@EITHER
async def test_pages_load_everything_below_the_prefix(sqlite_database_url, prefix):
    async with serving(Settings(database_url=sqlite_database_url, root_path=ROOT)) as client:
        for path in (f"{prefix}/", prefix):
            response = await client.get(path or "/", headers={"Accept": "text/html"})
            assert (response.status_code, response.headers["Location"]) == (303, f"{ROOT}/ui/")
        assert (await client.get(f"{prefix}/ui")).headers["Location"] == f"{ROOT}/ui/"
        for page in ("/docs", "/redoc", "/ui/", "/ui/machines/Saw"):
            text = (await client.get(f"{prefix}{page}")).text
            addresses = re.findall(r'(?:href|src|url)(?:=|: )["\']([^"\'#]+)["\']', text)
            assert len(addresses) >= 2, page
            for address in addresses:
                assert address.startswith(f"{ROOT}/"), page
                assert (await client.get(address)).status_code == 200, address
        assert f'data-root-path="{ROOT}"' in text
        document = (await client.get(f"{prefix}/openapi.json")).json()
        assert document["servers"] == [{"url": ROOT}]


@EITHER
@pytest.mark.parametrize(("scheme", "cookie"), [("http", "mm_session"), ("https", "__Secure-mm_session")])
async def test_cookies_and_links_of_the_console_carry_the_prefix(sqlite_database_url, prefix, scheme, cookie):
    async with opened(sqlite_database_url, root_path=ROOT) as site:
        await site.add_users()
        client = site.anonymous(scheme)
        response = await client.post(f"{prefix}/session", json=SIGN_IN)
        session, device = response.headers.get_list("Set-Cookie")
        for sent, name in ((session, cookie), (device, cookie.replace("session", "device"))):
            assert sent.startswith(f"{name}=")
            assert f"; Path={ROOT};" in sent
            assert ("Secure" in sent.split("; ")) == (scheme == "https")
        client.headers |= {"Cookie": session.split(";")[0], "X-CSRF-Token": response.json()["csrf_token"]}
        link = (await client.post(f"{prefix}/users/LEA/invitation")).json()["url"]
        assert link.startswith(f"{scheme}://machine-monitor{ROOT}/ui/setup#code=")
        number = (await client.put(f"{prefix}/machines/Saw", json={})).json()["id"]
        label = (await client.get(f"{prefix}/machines/Saw/label.svg")).text
        assert dark_modules(label) == modules_of(f"{scheme}://machine-monitor{ROOT}/ui/m/{number}")
        token = await client.post(f"{prefix}/tokens", json={"name": "x", "scope": "read"})
        assert token.headers["Location"].startswith(f"{ROOT}/tokens/")
        ended = await client.delete(f"{prefix}/session")
        assert f"; Path={ROOT};" in ended.headers["Set-Cookie"]


@pytest.mark.parametrize("configured", ["", "/plant"])
async def test_the_root_path_of_another_server_counts_too(sqlite_database_url, configured):
    app = create_app(Settings(database_url=sqlite_database_url, open=True, root_path=configured))
    transport = httpx2.ASGITransport(app, root_path="/plant")
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://machine-monitor") as client,
    ):
        # uvicorn puts its root path before every path, also before one that a proxy has left there.
        for path in ("/plant/machines/none", "/plant/plant/machines/none", "/machines/none"):
            assert (await client.get(path)).json()["instance"] == "/plant/machines/none"
        made = await client.post("/plant/machines", json={"name": "Saw"})
        assert (made.status_code, made.headers["Location"]) == (201, "/plant/machines/Saw")


def test_the_server_carries_the_prefix_too(sqlite_database_url):
    with threaded(Settings(database_url=sqlite_database_url, root_path=ROOT)) as (_, port):
        for path in (f"{ROOT}/healthz", "/healthz"):
            assert status(port, path) == 200
        assert status(port, f"{ROOT}{ROOT}/healthz") == 404
        # uvicorn reads this one, and the application never gets it.
        malformed = send_raw(port, b"GET / HTTP/1.1\r\nHost: x\r\nNo field\r\n\r\n")
        assert f'"type": "{ROOT}/problems/bad-request"'.encode() in malformed


async def test_a_path_that_only_begins_like_the_prefix_does_not_have_it(sqlite_database_url):
    app = create_app(Settings(database_url=sqlite_database_url, open=True, root_path="/m"))
    async with app.router.lifespan_context(app), client_of(app) as client:
        assert (await client.get("/machines")).status_code == 200
        assert (await client.get("/m/machines")).status_code == 200
        assert (await client.get("/m/m/machines")).json()["instance"] == "/m/m/machines"


@pytest.mark.parametrize(
    ("given", "root_path"),
    [("", ""), ("/", ""), ("mm", "/mm"), ("/mm/", "/mm"), ("/a/b", "/a/b"), ("/v1.2_x~", "/v1.2_x~")],
)
def test_the_spelling_of_a_root_path_is_normalized(given, root_path):
    assert Settings(root_path=given).root_path == root_path


@pytest.mark.parametrize("given", ["/a//b", "/a b", "/../a", "/a/.", 'x"y', "/é", "https://plant/mm", "/a?b"])
def test_what_is_no_path_is_refused(given):
    with pytest.raises(ValueError, match="such as /plant"):
        Settings(root_path=given)


@pytest.mark.parametrize("given", ["/logs", "/machines/a", "/ui", "/docs", "/logs.csv"])
def test_a_root_path_must_not_look_like_a_path_of_the_api(given):
    with pytest.raises(BadSetting, match="Choose another path"):
        create_app(Settings.model_construct(root_path=given))


def test_the_build_of_the_console_has_no_absolute_address():
    if not (console.FOLDER / "index.html").is_file():
        pytest.skip("the console was not built")
    for name in ("index.html", "console.webmanifest", "sw.js"):
        text = Path(console.FOLDER / name).read_text()
        assert re.findall(r'(?:href|src|url|scope|id)"?[=:] ?"(?!\./)[^"]*/', text) == [], name
