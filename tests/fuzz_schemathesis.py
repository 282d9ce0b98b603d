"""`make fuzz`: schemathesis with all checks and phases against a server on each engine. Not part of the suite."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = os.environ.get("EXAMPLES", "50")


@pytest.fixture
def address(empty_url, tmp_path):
    """The address of a served database of each engine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "machine_monitor.cli.main", "serve", "--port", str(port)]
    environment = {**os.environ, "MM_DATABASE_URL": empty_url}
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as server:
        address = f"http://127.0.0.1:{port}"
        _wait(address)
        yield address
        server.terminate()


@pytest.mark.timeout(1800)
def test_no_violation(address):
    program = Path(sys.executable).with_name("schemathesis")
    options = ["--config-file", str(ROOT / "schemathesis.toml"), "run", f"{address}/openapi.json"]
    chosen = ["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", EXAMPLES]
    assert subprocess.run([program, *options, *chosen], check=False).returncode == 0


def _wait(address):
    for _ in range(100):
        try:
            httpx2.get(f"{address}/readyz").raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the server does not answer")
