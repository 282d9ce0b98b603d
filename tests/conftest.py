"""Fixtures for all tests: a migrated database on each engine, and a client of the API on it."""

import logging
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import httpx2
import psycopg
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from psycopg import sql

import forked_processes
import postgresql_server
import proof_table
import quick_selection
from machine_monitor.api.app import create_app
from machine_monitor.api.serving import logs
from machine_monitor.api.serving.logs import AccessLog
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.services.imports.uploads import workers
from proof_table import ENGINES, extent, record_counts

__all__ = ["ENGINES", "extent", "record_counts"]

TESTS = Path(__file__).parent
SHARED = TESTS.parents[1] / "shared"
# The folders whose tests run the code of one engine.
ENGINE_TESTS = ("database", "services")
# The folders whose tests drive browsers and other programs.
RERUN_TESTS = ("console", "outside")

PREPARE = """
import sys
from machine_monitor.database.connect import Database
from machine_monitor.services.projections import maintenance

database = Database(sys.argv[1])
maintenance.prepare_database(database)
database.close_writer()
"""

for profile, examples in (("quick", 20), ("suite", 100), ("proof", 1_000)):
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    settings.register_profile(profile, deadline=None, suppress_health_check=checks, max_examples=examples)


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run fault tests at full length and print their table")
    parser.addoption("--quick", action="store_true", help="run only quick tests: SQLite, no browser, no processes")


def pytest_configure(config):
    # Show details of failed asserts in these helper modules, too. Not at module level, because tests import this
    # module a second time.
    pytest.register_assert_rewrite("reliability.clients")
    profiles = [name for name, option in (("proof", "--long"), ("quick", "--quick")) if config.getoption(option)]
    settings.load_profile(profiles[0] if profiles else "suite")


def pytest_collection_modifyitems(config, items):
    proof_table.label(config, items)
    if config.getoption("--quick"):
        quick_selection.deselect(config, items)
    elif not config.getoption("--long"):
        for item in items:
            if _may_rerun(item):
                item.add_marker(pytest.mark.flaky(reruns=1))


def _may_rerun(item: pytest.Item) -> bool:
    """Return whether a test runs once more if it fails: a busy machine may be slower than its time limits.

    The report names the test, and the closing line counts it. A test of `make proof` runs once, since a loss that
    happens now and then must not pass; except those that are `timed`.
    """
    markers = {marker.name for marker in item.iter_markers()}
    may_be_slow = "slow" in markers or item.path.relative_to(TESTS).parts[0] in RERUN_TESTS
    return "timed" in markers or (may_be_slow and "proof" not in markers)


def pytest_terminal_summary(terminalreporter, config):
    """Print the table of `make proof`, and the folder of the console's screenshots if tests saved any."""
    if config.getoption("--long"):
        for line in proof_table.table(terminalreporter.stats):
            terminalreporter.write_line(line)
    ran = [report.nodeid for report in terminalreporter.stats.get("passed", [])]
    if any(nodeid.startswith("tests/console/test_pages.py") for nodeid in ran):
        terminalreporter.write_line("Screenshots of the console: tests/console/screenshots")


def _repeats_on_postgresql(item) -> bool:
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    is_on_postgresql = any(isinstance(value, str) and value == "postgresql" for value in parameters)
    return is_on_postgresql and item.path.relative_to(TESTS).parts[0] not in ENGINE_TESTS


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Switch coverage off for some tests, which halves their time.

    These are the tests marked `untraced`, and the runs on PostgreSQL: they repeat those on SQLite, except in the
    folders of ENGINE_TESTS. pytest-cov's `no_cover` has no effect in xdist's workers.
    """
    if not (item.get_closest_marker("untraced") or _repeats_on_postgresql(item)):
        return (yield)
    here, in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(here)
        threading.settrace(in_threads)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `../shared` with sample data, next to a developer's checkout."""
    if not SHARED.is_dir():
        pytest.skip("needs the sample data in ../shared, which only exists next to a developer's checkout")
    return SHARED


@pytest.fixture(scope="session")
def postgresql_url(request) -> Iterator[str]:
    """The URL of a PostgreSQL server: MM_TEST_DATABASE_URL, or a local server for this session."""
    if request.config.getoption("--quick"):
        pytest.skip("`make quick` does not start PostgreSQL: mark this test `slow`")
    if given := os.environ.get("MM_TEST_DATABASE_URL"):
        yield given
        return
    with postgresql_server.running_server(durable=False) as (url, _):
        yield url


@pytest.fixture(scope="session")
def postgresql_template(postgresql_url) -> Iterator[str]:
    """The name of a migrated database; test databases are copies of it."""
    name = f"mm_template_{uuid.uuid4().hex[:8]}"
    _execute(postgresql_url, "CREATE DATABASE {}", name)
    prepare(_with_database_name(postgresql_url, name))
    yield name
    _execute(postgresql_url, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory) -> Path:
    """A migrated SQLite file; test databases are copies of it."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    prepare(f"sqlite:///{path}")
    return path


@contextmanager
def new_database(request, engine: str, folder: Path) -> Iterator[str]:
    """Create a migrated database that contains only the initial log types, and yield its URL."""
    name = f"mm_{uuid.uuid4().hex[:12]}"
    if engine == "sqlite":
        path = folder / name / "test.db"
        path.parent.mkdir()
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server, template = request.getfixturevalue("postgresql_url"), request.getfixturevalue("postgresql_template")
    _execute(server, "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, template)
    yield _with_database_name(server, name)
    _execute(server, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def new_database_url(request, tmp_path):
    """A function that creates another migrated database on a given engine."""
    with ExitStack() as stack:
        yield lambda engine: stack.enter_context(new_database(request, engine, tmp_path))


@pytest.fixture
def sqlite_database_url(new_database_url) -> str:
    return new_database_url("sqlite")


@pytest.fixture
def postgresql_database_url(new_database_url) -> str:
    return new_database_url("postgresql")


@pytest.fixture(params=ENGINES)
def database_url(request) -> str:
    """The URL of a migrated database with nothing but the initial log types; each test runs on both engines."""
    return request.getfixturevalue(f"{request.param}_database_url")


@pytest.fixture(params=ENGINES)
def empty_url(request, tmp_path) -> Iterator[str]:
    """The URL of a database that has no table yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server, name = request.getfixturevalue("postgresql_url"), f"mm_{uuid.uuid4().hex[:12]}"
    _execute(server, "CREATE DATABASE {}", name)
    yield _with_database_name(server, name)
    _execute(server, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
async def database(database_url) -> AsyncIterator[Database]:
    """An opened `Database`."""
    opened = Database(database_url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def loggers() -> Iterator[None]:
    """Restore the configuration of all loggers after the test."""
    names = (None, *logs.LOGGERS, "uvicorn.error", "uvicorn.access", "py.warnings")
    before = [(logger, logger.level, [*logger.handlers], logger.propagate) for logger in map(logging.getLogger, names)]
    yield
    logging.captureWarnings(capture=False)
    for logger, level, handlers, propagate in before:
        logger.setLevel(level)
        logger.handlers, logger.propagate = handlers, propagate


@pytest.fixture(scope="session", autouse=True)
def _quick_workers() -> Iterator[None]:
    """Let services in this process fork the workers of imports. Those of `mm serve` start a Python process each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "start_process", forked_processes.start_worker)
        yield


@pytest.fixture
def timezone() -> str:
    """The time zone of the site; tests that depend on it override it by parametrization."""
    return "UTC"


@pytest.fixture
async def client(database_url, timezone) -> AsyncIterator[httpx2.AsyncClient]:
    """An in-process client of the API, without credentials on an open service."""
    async with serving(Settings(database_url=database_url, timezone=timezone)) as opened:
        yield opened


@asynccontextmanager
async def serving(
    chosen: Settings, access_log: AccessLog | None = None, *, open_: bool = True
) -> AsyncIterator[httpx2.AsyncClient]:
    """Start the API with these settings and yield a client; by default, clients need no credentials."""
    app = create_app(chosen.model_copy(update={"open": open_}), access_log)
    async with app.router.lifespan_context(app), client_of(app) as opened:
        yield opened


def client_of(app: FastAPI, scheme: str = "http") -> httpx2.AsyncClient:
    """Return a client of an application whose lifespan is running."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=f"{scheme}://machine-monitor")


def prepare(url: str) -> None:
    """Migrate a database, in another process: the test that asks for it may have patched the models of this one."""
    subprocess.run([sys.executable, "-c", PREPARE, url], check=True)


def _with_database_name(url: str, name: str) -> str:
    return database_urls.parse(url).sqlalchemy_url.set(database=name).render_as_string(hide_password=False)


def _execute(url: str, statement: str, *names: str) -> None:
    with psycopg.connect(database_urls.parse(url).conninfo, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
