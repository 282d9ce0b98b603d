"""The site of the documentation: `make docs` builds it without a warning, and no page loads from other hosts."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from console.conftest import CHROMIUM

ROOT = Path(__file__).parents[2]
SITE = ROOT / ".site/site"
PAGES = ("index.html", "docs/index.html", "docs/ask.html", "docs/internals/keysets.html", "ARCHITECTURE.html")

pytestmark = [
    pytest.mark.outside,
    pytest.mark.skipif(shutil.which("make") is None, reason="needs make"),
    pytest.mark.timeout(300),
]


def make(target: str) -> subprocess.CompletedProcess:
    command = ["make", "--silent", target]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


class Files(SimpleHTTPRequestHandler):
    """Serves the files of a folder, and prints nothing."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Build the site and serve it; its URL."""
    if (installed := make(".venv-docs/installed")).returncode:
        pytest.skip(f"the packages of docs/requirements.lock cannot be installed: {installed.stderr[-300:]}")
    built = make("docs")
    assert built.returncode == 0, built.stdout + built.stderr
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=SITE)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_every_page_is_built(address):
    assert address
    pages = {path.relative_to(ROOT).with_suffix("") for path in (ROOT / "docs").glob("**/*.md")}
    # A README becomes the index of its folder.
    built = {path.relative_to(SITE).with_suffix("") for path in SITE.glob("**/*.html")}
    assert {page for page in pages if page not in built and page.with_name("index") not in built} == set()


@pytest.mark.skipif(not CHROMIUM.is_file(), reason="needs Chromium")
def test_a_page_sends_no_request_to_another_host(address):
    requests, failed = set(), []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page()
        page.on("request", lambda request: requests.add(request.url))
        page.on("response", lambda response: response.status < 400 or failed.append(response.url))
        for path in PAGES:
            page.goto(f"{address}/{path}")
            assert page.locator("h1").first.is_visible()
            page.wait_for_timeout(200)
        browser.close()
    assert [url for url in requests if not url.startswith((address, "data:"))] == []
    assert failed == []
