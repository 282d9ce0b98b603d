"""Fixtures for browser tests: a service with demo data, and Chromium."""

import contextlib
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx2
import pytest

from api.access.site import PASSWORD, hashed_password
from machine_monitor.api.app import create_app
from machine_monitor.api.serving import console, server
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.models.accounts.token import TokenCreate
from machine_monitor.services import demo
from machine_monitor.services.accounts import invitations, tokens
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.projections import counters, maintenance
from servers import free_port, run_in_thread

WHOLE_CHROMIUM = Path(os.environ.get("MM_TEST_CHROMIUM", "/usr/bin/chromium"))
# Chromium without windows and cameras: it needs a quarter less processor time.
HEADLESS_SHELL = Path("/usr/bin/chromium-headless-shell")
CHROMIUM = HEADLESS_SHELL if HEADLESS_SHELL.is_file() and "MM_TEST_CHROMIUM" not in os.environ else WHOLE_CHROMIUM
AXE = Path(__file__).parents[2] / "frontend/node_modules/axe-core/axe.min.js"
SCREENSHOTS = Path(__file__).with_name("screenshots")
# Users of the demo data, by role.
ADMIN, SUPERVISOR, LEAD, OPERATOR, VIEWER = "ABE", "TWH", "MLF", "CDU", "HMA"
SETUP = ChangeContext("test")
# How long a page may take to show what a test waits for: seconds on a busy machine.
PATIENCE_MS = 30_000
DESK = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
# Responses that tests cause on purpose: a signed-out visitor, refused forms, conflicts.
EXPECTED = (401, 403, 410, 412, 422)
REFUSAL = re.compile(r"the server responded with a status of (\d+)")
# Console messages that the browser writes when it is offline or when the service worker is blocked, and of Swagger UI.
HARMLESS = re.compile("Service Worker registration blocked|ERR_INTERNET_DISCONNECTED|Could not find component: Json")


def pytest_itemcollected(item):
    """Measure no coverage: other tests cover the service without a browser."""
    item.add_marker("untraced")


@dataclass(frozen=True)
class Site:
    """A running service, its database, and an API token of its admin."""

    address: str
    database: Database
    token: str

    def write(self, unit):
        """Run a unit of work in the database, as the command line does."""
        return self.database.transact(unit)

    def call(self, method, path, **body):
        """Call the API as the admin, independently of the browser."""
        headers = {"Authorization": f"Bearer {self.token}"}
        response = httpx2.request(method, self.address + path, headers=headers, json=body or None)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def upload(self, path, name, content):
        """Add a file to a record as the admin."""
        headers = {"Authorization": f"Bearer {self.token}"}
        response = httpx2.put(self.address + path, params={"name": name}, headers=headers, content=content)
        assert response.is_success, response.text


@contextlib.contextmanager
def serve(path, machines=0, logs=0, **settings):
    """Run a service with a new database. If it has machines, it has demo data, and users with passwords."""
    settings = Settings(database_url=f"sqlite:///{path}", timezone="Europe/Paris", **settings)
    database = Database(settings.database_url)
    maintenance.prepare_database(database)
    counters.ensure_zone(database, settings.zone)
    token = ""
    if machines:
        demo.fill(database, demo.plan(machines, logs, until=datetime.now(settings.zone)))
        for trigram in (ADMIN, SUPERVISOR, LEAD, OPERATOR, VIEWER):
            database.transact(lambda tx, name=trigram: invitations.set_password(tx, name, hashed_password(), SETUP))
        body = TokenCreate(name="test", scope="admin")
        token = database.transact(lambda tx: tokens.issue(tx, ADMIN, body, SETUP))[1]
    port = free_port()
    with run_in_thread(create_app(settings), port, server.options(settings)):
        yield Site(f"http://127.0.0.1:{port}", database, token)
    database.close_writer()


@pytest.fixture(scope="session")
def site(tmp_path_factory, sqlite_template):  # noqa: ARG001 -- migrations are read once
    """A service with 12 machines and 600 logs up to now, and one user with a password for each role."""
    if not (console.FOLDER / "index.html").is_file():
        pytest.skip("needs the console: `make console`")
    with serve(tmp_path_factory.mktemp("console") / "plant.db", machines=12, logs=600) as plant:
        yield plant


# Playwright runs an event loop in this thread, and no other can run beside it. Module scope ends it with each module.
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
    """Returns the session cookies of a user; each user signs in only once."""
    cache = {}

    def cookies(trigram):
        if trigram not in cache:
            context = chromium.new_context(base_url=site.address)
            response = context.request.post("/session", data={"trigram": trigram, "password": PASSWORD})
            assert response.ok, response.text()
            cache[trigram] = context.cookies()
            context.close()
        return cache[trigram]

    return cookies


@pytest.fixture
def opened(site, chromium, sessions):
    """Open a page: `opened("/ui/", user=ADMIN, **PHONE)`.

    The test fails if the page requests another host, or gets an error status that is not expected or in `refusals`.
    """
    problems = []
    with contextlib.ExitStack() as stack:

        def watch(page, expected):
            def on_message(message):
                refusal = REFUSAL.search(message.text)
                if HARMLESS.search(message.text) or (refusal and int(refusal[1]) in expected):
                    return
                if message.type in ("error", "warning"):
                    problems.append(message.text)

            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", on_message)
            page.on(
                "request",
                lambda request: (
                    request.url.startswith((site.address, "data:", "blob:"))
                    or problems.append(f"requests {request.url}")
                ),
            )

        def open_page(path, user=ADMIN, refusals=(), **options):
            options = {"locale": "en-GB", "color_scheme": "light", **(options or DESK)}
            options.setdefault("viewport", DESK["viewport"])
            # Without this, every test would download all files. The offline tests allow the worker.
            options.setdefault("service_workers", "block")
            context = stack.enter_context(chromium.new_context(base_url=site.address, **options))
            if user is not None:
                context.add_cookies(sessions(user))
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            watch(page, {*EXPECTED, *refusals})
            page.goto(path)
            return page

        yield open_page
    assert problems == []


@pytest.fixture
def axe():
    """Returns the accessibility violations that axe finds on a page; with `rules`, only those of these rules."""
    if not AXE.is_file():
        pytest.skip("needs the console's packages: `make console`")
    source = AXE.read_text()

    def check(page, rules=None):
        # Inject it by the debugger, because the security policy blocks the script; once a page, as it is 500 kB.
        if not page.evaluate("'axe' in window"):
            page.evaluate(source)
        run_only = rules or ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
        options = {"preload": False, "resultTypes": ["violations"], "runOnly": run_only}
        found = page.evaluate("(options) => axe.run(options)", options)
        return [
            f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
            for each in found["violations"]
            for node in each["nodes"]
        ]

    return check
