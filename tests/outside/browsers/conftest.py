"""Fixtures for the console in Firefox and WebKitGTK: a service that can be stopped, and a page in each browser."""

import shutil
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime

import httpx2
import pytest

from api.access.site import hashed_password
from console.conftest import ADMIN, OPERATOR
from machine_monitor.api.app import create_app
from machine_monitor.api.serving import console, server
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.models.accounts.token import TokenCreate
from machine_monitor.services import demo
from machine_monitor.services.accounts import invitations, tokens
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.projections import counters, maintenance
from outside.browsers import firefox, webkit
from servers import free_port, run_in_thread

# The virtual list measures its rows while they are laid out; browsers report that and continue in the next frame.
HARMLESS = "ResizeObserver loop completed"


class StoppableService:
    """The service on a port that it keeps: a browser whose service is stopped has no network."""

    def __init__(self, settings: Settings, token: str) -> None:
        self._settings, self._token, self._port = settings, token, free_port()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        options = server.options(self._settings) | {"timeout_graceful_shutdown": 1}
        self._running = ExitStack()
        self._running.enter_context(run_in_thread(create_app(self._settings), self._port, options))

    def stop(self) -> None:
        self._running.close()

    @contextmanager
    def stopped(self) -> Generator[None]:
        """Stop the service, and start it again at the end."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def call(self, method, path, **body):
        """Call the API as the admin, independently of the browser."""
        headers = {"Authorization": f"Bearer {self._token}"}
        response = httpx2.request(method, self.address + path, headers=headers, json=body or None)
        assert response.is_success, response.text
        return response.json() if response.content else None


@pytest.fixture(scope="module")
def service(tmp_path_factory, sqlite_template):  # noqa: ARG001 -- migrations are read once
    """A service with 12 machines and 60 logs, and an operator with a password."""
    if not (console.FOLDER / "index.html").is_file():
        pytest.skip("needs the console: `make console`")
    url = f"sqlite:///{tmp_path_factory.mktemp('browsers') / 'plant.db'}"
    settings = Settings(database_url=url, timezone="Europe/Paris")
    database = Database(url)
    maintenance.prepare_database(database)
    counters.ensure_zone(database, settings.zone)
    demo.fill(database, demo.plan(12, 60, until=datetime.now(settings.zone)))
    database.transact(lambda tx: invitations.set_password(tx, OPERATOR, hashed_password(), ChangeContext("test")))
    body = TokenCreate(name="test", scope="admin")
    token = database.transact(lambda tx: tokens.issue(tx, ADMIN, body, ChangeContext("test")))[1]
    running = StoppableService(settings, token)
    running.start()
    yield running
    running.stop()
    database.close_writer()


@pytest.fixture(scope="module")
def bidi(tmp_path_factory):
    if shutil.which(firefox.PROGRAM) is None:
        pytest.skip("needs Firefox ESR: apt-get install firefox-esr")
    with firefox.running_firefox(tmp_path_factory.mktemp("firefox")) as session:
        yield session


@pytest.fixture(scope="module")
def display():
    if any(shutil.which(program) is None for program in webkit.PROGRAMS):
        pytest.skip("needs WebKitGTK and a virtual display: apt-get install webkit2gtk-driver xvfb")
    with webkit.virtual_display() as name:
        yield name


@pytest.fixture(params=["firefox", "webkit"])
def page(request, service, tmp_path):
    """A signed-out page in each browser. The test fails if the page logs an error."""
    if request.param == "firefox":
        opened = firefox.firefox_page(request.getfixturevalue("bidi"), service.address)
    else:
        opened = webkit.webkit_page(tmp_path, request.getfixturevalue("display"), service.address)
    with opened as given:
        yield given
        assert [error for error in given.errors() if not error.startswith(HARMLESS)] == []


@pytest.fixture
def inject(service):  # noqa: ARG001 -- the service's process has the files
    """Let the console's page run a script before its own, as WebDriver has no command for it."""
    files, pages = console.load()._files, console.load()._pages
    index, script = files["index.html"], files["sw.js"]

    def add(source: str) -> None:
        content = index.content.replace(b"<head>", b'<head><script src="/ui/injected.js"></script>')
        files["index.html"] = replace(index, content=content, encoded={}, headers=index.headers | {"ETag": '"new"'})
        files["injected.js"] = replace(script, content=source.encode(), encoded={})
        pages.clear()

    yield add
    files["index.html"] = index
    files.pop("injected.js", None)
    pages.clear()
