"""Prometheus collects from the service with the files of the documentation, and understands every query of Grafana."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import httpx2
import pytest

import forked_processes
from servers import ForkedService, environment, free_port

FOLDER = Path(__file__).parents[2] / "docs/connect/grafana"
WAIT_SECONDS = 60

pytestmark = [
    pytest.mark.outside,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Prometheus: apt-get install prometheus"),
]


@pytest.fixture
def api(tmp_path, sqlite_database_url):
    """The API of a Prometheus that has collected from a service."""
    variables = environment(database_url=sqlite_database_url)
    forked_processes.run(["user", "add", "ADM"], tmp_path, variables)
    token = forked_processes.run(["token", "add", "ADM", "--scope", "read"], tmp_path, variables).splitlines()[0]
    (tmp_path / "machine-monitor.token").write_text(token)
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    with ForkedService(tmp_path, database_url=sqlite_database_url, open=False) as service:
        configured = (FOLDER / "prometheus.yml").read_text().replace(":8000", f":{service.port}").replace("15s", "1s")
        (tmp_path / "prometheus.yml").write_text(configured)
        address = f"127.0.0.1:{free_port()}"
        command = ["prometheus", f"--web.listen-address={address}", f"--storage.tsdb.path={tmp_path / 'data'}"]
        with (tmp_path / "prometheus.log").open("w") as log:
            running = subprocess.Popen([*command, "--config.file=prometheus.yml"], cwd=tmp_path, stdout=log, stderr=log)
        try:
            with httpx2.Client(base_url=f"http://{address}/api/v1") as client:
                yield client
        finally:
            running.terminate()
            running.wait(20)


def query(api, expression):
    try:
        response = api.get("/query", params={"query": expression}).json()
    except httpx2.HTTPError:
        return None
    assert response["status"] == "success", response
    return response["data"]["result"]


def test_the_files_are_valid(tmp_path):
    for name in ("prometheus.yml", "alerts.yml"):
        shutil.copy(FOLDER / name, tmp_path)
    (tmp_path / "machine-monitor.token").touch()
    command = [shutil.which("promtool"), "check", "config", "prometheus.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "4 rules found" in done.stdout


def test_prometheus_collects_and_answers_every_query(api):
    end = time.monotonic() + WAIT_SECONDS
    while not (samples := query(api, "machine_monitor_build_info")) and time.monotonic() < end:
        time.sleep(0.2)
    assert samples[0]["metric"]["engine"] == "sqlite"
    assert [sample["value"][1] for sample in query(api, 'up{job="machine-monitor"}')] == ["1"]
    for panel in json.loads((FOLDER / "dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            assert query(api, target["expr"]) is not None
