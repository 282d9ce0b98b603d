"""The clients that openapi-generator generates from docs/openapi.json; the one in Python works with the service."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from machine_monitor.config import Settings
from servers import threaded

DOCUMENT = Path(__file__).parents[2] / "docs/openapi.json"

pytestmark = [
    pytest.mark.outside,
    pytest.mark.skipif(shutil.which("java") is None, reason="needs Java, such as Debian's default-jre-headless"),
    pytest.mark.timeout(300),
]


def generate(language: str, folder: Path) -> None:
    program = Path(sys.executable).with_name("openapi-generator-cli")
    arguments = ["generate", "-q", "-i", str(DOCUMENT), "-g", language, "-o", str(folder)]
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("language", ["typescript-axios", "java", "go"])
def test_a_client_is_generated(language, tmp_path):
    generate(language, tmp_path)
    assert any(tmp_path.rglob("*ogs*"))


def test_the_python_client_creates_lists_filters_conflicts_and_deletes(sqlite_database_url, tmp_path, monkeypatch):
    generate("python", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    client = importlib.import_module("openapi_client")
    exceptions = importlib.import_module("openapi_client.exceptions")
    with threaded(Settings(database_url=sqlite_database_url, open=True)) as (_, port):
        connection = client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{port}"))
        logs, machines = client.LogsApi(connection), client.MachinesApi(connection)
        machines.create_machine(client.MachineCreate(name="Lathe", manufacturer="Ovrandel"))
        created = logs.create_log(client.LogCreate(machine="Lathe", type="error", comment="Oil leak"))
        listed = logs.list_logs(filters={"comment__startswith": "oil", "machine.manufacturer": "Ovrandel"})
        assert [item.uuid for item in listed.items] == [created.uuid]
        change = client.LogUpdate(severity="major")
        assert logs.update_log(created.uuid, change, if_match='"1"').version == 2
        with pytest.raises(exceptions.ApiException) as refused:
            logs.update_log(created.uuid, change, if_match='"1"')
        assert refused.value.status == 412
        assert logs.export_logs_xlsx().startswith(b"PK")
        logs.delete_log(created.uuid)
        with pytest.raises(exceptions.ApiException) as gone:
            logs.get_log(created.uuid)
        assert gone.value.status == 410
