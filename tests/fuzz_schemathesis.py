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
def served(empty_url, tmp_path):
    """The address of a served database of each engine, and the token of an admin."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"cwd": tmp_path, "env": {**os.environ, "MM_DATABASE_URL": empty_url}}
    mm = [sys.executable, "-m", "machine_monitor.cli.main"]
    subprocess.run([*mm, "user", "add", "ADM", "--role", "admin"], check=True, **options)
    made = subprocess.run(
        [*mm, "token", "add", "ADM", "--scope", "admin"], check=True, stdout=subprocess.PIPE, **options
    )
    with subprocess.Popen([*mm, "serve", "--port", str(port)], **options) as server:
        address = f"http://127.0.0.1:{port}"
        _wait(address)
        yield address, made.stdout.decode().strip()
        server.terminate()


@pytest.mark.timeout(1800)
def test_no_violation(served):
    address, token = served
    program = Path(sys.executable).with_name("schemathesis")
    options = ["--config-file", str(ROOT / "schemathesis.toml"), "run", f"{address}/openapi.json"]
    chosen = ["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", EXAMPLES]
    # It would revoke the token that it asks with.
    shown = ["--header", f"Authorization: Bearer {token}", "--exclude-operation-id", "revoke_token"]
    assert subprocess.run([program, *options, *chosen, *shown], check=False).returncode == 0


def _wait(address):
    for _ in range(100):
        try:
            httpx2.get(f"{address}/readyz").raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the server does not answer")
