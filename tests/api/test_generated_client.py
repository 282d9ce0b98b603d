"""The client that openapi-python-client generates from docs/openapi.json works with the service."""

import asyncio
import importlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import uvicorn

from machine_monitor.api.app import create_app
from machine_monitor.config import Settings

DOCUMENT = Path(__file__).parents[2] / "docs/openapi.json"


@pytest.fixture(scope="session")
def generated(tmp_path_factory):
    """The name of the generated client package."""
    folder = tmp_path_factory.mktemp("generated")
    program = Path(sys.executable).with_name("openapi-python-client")
    where = ["--output-path", str(folder / "generated_client"), "--meta", "none"]
    subprocess.run([program, "generate", "--path", str(DOCUMENT), *where], check=True, capture_output=True)
    sys.path.insert(0, str(folder))
    yield "generated_client"
    sys.path.remove(str(folder))


@pytest.fixture
def address(database_url, unused_tcp_port):
    """The URL of a server in a thread."""
    app = create_app(Settings(database_url=database_url, open=True))
    server = uvicorn.Server(uvicorn.Config(app, port=unused_tcp_port, log_level="error", access_log=False))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        assert thread.is_alive()
    yield f"http://127.0.0.1:{unused_tcp_port}"
    server.should_exit = True
    thread.join()


@pytest.mark.slow
def test_the_generated_client_creates_lists_and_updates_a_log(generated, address):
    def load(name):
        return importlib.import_module(f"{generated}.{name}")

    models = load("models")
    with load("client").Client(base_url=address) as client:
        machine = load("api.machines.create_machine").sync(client=client, body=models.MachineCreate(name="Lathe"))
        assert machine.id == 1
        body = models.LogCreate(machine="lathe", type_="error", comment="bruyante")
        created = load("api.logs.create_log").sync(client=client, body=body)
        listed = load("api.logs.list_logs").sync(client=client, q="bruyant*", machine=["Lathe"])
        assert [item.uuid for item in listed.items] == [created.uuid]
        changed = load("api.logs.update_log").sync(
            created.uuid, client=client, body=models.LogUpdate(severity=models.LogUpdateSeverity.MAJOR)
        )
        assert (changed.version, changed.severity, changed.comment) == (2, "major", "bruyante")
        gone = load("api.machines.get_machine").sync(client=client, name="saw")
        assert gone.code == "not-found"
