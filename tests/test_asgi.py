"""`machine_monitor.asgi:app` is an application for any ASGI server."""

import importlib
import subprocess
import sys
import time

import httpx2
import pytest

from conftest import client_of
from servers import environment, free_port

pytestmark = pytest.mark.usefixtures("loggers")


@pytest.fixture
def asgi(database_url, monkeypatch):
    """The module, imported with a database URL in the environment."""
    monkeypatch.setenv("MM_DATABASE_URL", database_url)
    monkeypatch.setenv("MM_OPEN", "true")
    monkeypatch.delitem(sys.modules, "machine_monitor.asgi", raising=False)
    return importlib.import_module("machine_monitor.asgi")


async def test_the_application_runs_under_its_lifespan(asgi):
    async with asgi.app.router.lifespan_context(asgi.app), client_of(asgi.app) as client:
        assert (await client.put("/machines/Saw", json={})).status_code == 201
        assert (await client.get("/readyz")).status_code == 200


async def test_importing_the_module_needs_no_database(monkeypatch, tmp_path):
    missing = tmp_path / "none" / "there.db"
    monkeypatch.setenv("MM_DATABASE_URL", f"sqlite:///{missing}")
    monkeypatch.delitem(sys.modules, "machine_monitor.asgi", raising=False)
    assert importlib.import_module("machine_monitor.asgi").app.title == "Machine Monitor"
    assert not missing.parent.exists()


def test_uvicorn_serves_the_application_by_its_import_path(database_url, tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "machine_monitor.asgi:app", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        variables = environment(database_url=database_url)
        server = subprocess.Popen(command, cwd=tmp_path, env=variables, stdout=log, stderr=log)
    try:
        for _ in range(300):
            try:
                response = httpx2.get(f"http://127.0.0.1:{port}/readyz")
            except httpx2.HTTPError:
                assert server.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.1)
            else:
                break
        assert response.status_code == 200
    finally:
        server.terminate()
        server.wait()
    assert "Traceback" not in (tmp_path / "log").read_text()
