"""The console in Chromium, before a service with a plant of its own."""

import contextlib
import os
import re
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx2
import pytest
import uvicorn

from api.access.site import PASSWORD, hashed
from machine_monitor.api.app import create_app
from machine_monitor.api.serving import console, server
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.models.accounts.token import TokenCreate
from machine_monitor.services import demo
from machine_monitor.services.accounts import invitations, tokens
from machine_monitor.services.projections import counters, maintenance
from servers import free_port

CHROMIUM = Path(os.environ.get("MM_TEST_CHROMIUM", "/usr/bin/chromium"))
AXE = Path(__file__).parents[2] / "frontend/node_modules/axe-core/axe.min.js"
SCREENSHOTS = Path(__file__).with_name("screenshots")
# People of the plant, by role.
ADMIN, SUPERVISOR, LEAD, OPERATOR, VIEWER = "ABE", "TWH", "MLF", "CDU", "HMA"
DESK = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
# Signed out, the console asks who it is, and is told; forms are refused.
EXPECTED = (401, 403, 410, 412, 422)
REFUSAL = re.compile(r"the server responded with a status of (\d+)")
# What a browser says of itself, without a network or where its worker is not wanted.
HARMLESS = re.compile("Service Worker registration blocked|ERR_INTERNET_DISCONNECTED")


def pytest_itemcollected(item):
    """What the service does for a page, other tests ask it without a browser."""
    item.add_marker("untraced")


@dataclass(frozen=True)
class Site:
    """A service over sockets, its database, and a token of its admin."""

    address: str
    database: Database
    token: str

    def write(self, unit):
        """Do something in the database, as the command line would."""
        return self.database.transact(unit)

    def call(self, method, path, **body):
        """Ask the API something as the admin, beside what the browser does."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx2.request(method, self.address + path, headers=headers, json=body or None)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@pytest.fixture(scope="session")
def site(tmp_path_factory, sqlite_template):  # noqa: ARG001 -- migrations are read once
    """A plant of twelve machines and six hundred logs up to now, where one person of each role has a password."""
    if not (console.FOLDER / "index.html").is_file():
        pytest.skip("needs the console: `make console`")
    url = f"sqlite:///{tmp_path_factory.mktemp('console') / 'plant.db'}"
    settings = Settings(database_url=url, timezone="Europe/Paris")
    database = Database(url)
    maintenance.prepare_database(database)
    counters.ensure_zone(database, settings.zone)
    demo.fill(database, demo.plan(12, 600, until=datetime.now(settings.zone)))
    for trigram in (ADMIN, SUPERVISOR, LEAD, OPERATOR, VIEWER):
        database.transact(lambda tx, trigram=trigram: invitations.set_password(tx, trigram, hashed()))
    token = database.transact(lambda tx: tokens.issue(tx, ADMIN, TokenCreate(name="test", scope="admin")))[1]
    port = free_port()
    running = uvicorn.Server(uvicorn.Config(create_app(settings), port=port, **server.options(settings)))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield Site(f"http://127.0.0.1:{port}", database, token)
    running.should_exit = True
    thread.join()
    database.close_writer()


# Playwright keeps a loop running in this thread, beside which no other runs: it ends with each module.
@pytest.fixture(scope="module")
def chromium():
    if not CHROMIUM.is_file():
        pytest.skip(f"needs Chromium at {CHROMIUM}, or where MM_TEST_CHROMIUM says")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def sessions(site, chromium):
    """The cookies of whoever signed in, by trigram: each signs in once."""
    known = {}

    def cookies(trigram):
        if trigram not in known:
            context = chromium.new_context(base_url=site.address)
            answer = context.request.post("/session", data={"trigram": trigram, "password": PASSWORD})
            assert answer.ok, answer.text()
            known[trigram] = context.cookies()
            context.close()
        return known[trigram]

    return cookies


@pytest.fixture
def opened(site, chromium, sessions):
    """Opens a page: `opened("/ui/", user=ADMIN, **PHONE)`; it asks no other host, and fails only by `refusals`."""
    faults = []
    with contextlib.ExitStack() as stack:

        def watch(page, expected):
            def hear(said):
                refusal = REFUSAL.search(said.text)
                if HARMLESS.search(said.text) or (refusal and int(refusal[1]) in expected):
                    return
                if said.type in ("error", "warning"):
                    faults.append(said.text)

            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", hear)
            page.on(
                "request",
                lambda asked: (
                    asked.url.startswith((site.address, "data:", "blob:")) or faults.append(f"asks {asked.url}")
                ),
            )

        def open_page(path, user=ADMIN, refusals=(), **options):
            options = {"locale": "en-GB", "color_scheme": "light", **(options or DESK)}
            options.setdefault("viewport", DESK["viewport"])
            # Its files would be fetched by every test; those of writing offline ask for it.
            options.setdefault("service_workers", "block")
            context = stack.enter_context(chromium.new_context(base_url=site.address, **options))
            if user is not None:
                context.add_cookies(sessions(user))
            page = context.new_page()
            page.set_default_timeout(10_000)
            watch(page, {*EXPECTED, *refusals})
            page.goto(path)
            return page

        yield open_page
    assert faults == []


@pytest.fixture
def axe():
    """What axe finds wrong on a page, as lines."""
    if not AXE.is_file():
        pytest.skip("needs the console's packages: `make console`")
    source = AXE.read_text()

    def check(page):
        # By the debugger: the page's own policy lets no such script in. Once a page: it is half a megabyte to read.
        if not page.evaluate("'axe' in window"):
            page.evaluate(source)
        found = page.evaluate(
            "axe.run({preload: false, runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})"
        )
        return [
            f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
            for each in found["violations"]
            for node in each["nodes"]
        ]

    return check
