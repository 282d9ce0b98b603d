"""The installed wheel works without the checkout."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

from machine_monitor.database.schema import migrations

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def environment(**given: str) -> dict[str, str]:
    """Return a minimal environment: no settings, no coverage, no other path to the package."""
    return {"PATH": os.environ["PATH"], **given}


def run(*command: str, cwd: Path, **given: str) -> str:
    answer = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment(**given), capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run("-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder), cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder with the installed files; in PYTHONPATH it takes precedence over the checkout."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def files(folder: Path, below: Path) -> set[Path]:
    return {path.relative_to(below) for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


def test_wheel_contains_every_file_of_the_package_and_the_migrations(installed):
    contained = files(installed / "machine_monitor", installed / "machine_monitor")
    assert contained == {
        *files(ROOT / "src" / "machine_monitor", ROOT / "src" / "machine_monitor"),
        *files(ROOT / "alembic", ROOT),
        Path("alembic.ini"),
    }
    assert Path("alembic/versions/0001_records.py") in contained


def test_wheel_installs_both_commands(installed):
    (entry_points,) = installed.glob("*.dist-info/entry_points.txt")
    lines = entry_points.read_text().splitlines()
    assert {"machine-monitor = machine_monitor.cli.main:main", "mm = machine_monitor.cli.main:main"} <= set(lines)


def test_installed_wheel_creates_a_database_in_an_empty_folder(installed, tmp_path):
    where = run("-c", "import machine_monitor as m; print(m.__file__)", cwd=tmp_path, PYTHONPATH=str(installed))
    assert Path(where.strip()).is_relative_to(installed)
    output = run("-m", "machine_monitor.cli.main", "migrate", cwd=tmp_path, PYTHONPATH=str(installed))
    assert f"from nothing to {migrations.head_revision()}" in output
    assert (tmp_path / "machine-monitor.db").stat().st_size > 0
    assert {path.name for path in tmp_path.iterdir()} == {"machine-monitor.db", "machine-monitor.db-lock"}


def test_installed_wheel_serves_its_demo_from_an_empty_folder(installed, tmp_path, tmp_path_factory):
    command = [sys.executable, "-m", "machine_monitor.cli.main", "demo", "--port=0", "--machines=3", "--logs=20"]
    temporary = tmp_path_factory.mktemp("temporary")
    variables = environment(PYTHONPATH=str(installed), TMPDIR=str(temporary))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=variables, **pipes) as process:
        try:
            output = []
            for line in process.stderr:
                output.append(line)
                if found := re.search(r"running on (http://[\d.:]+)", line):
                    break
            else:
                pytest.fail("".join(output))
            token = next(line for line in process.stdout if "Authorization: " in line)
            headers = {"Authorization": token.partition("Authorization: ")[2].strip()}
            request = urllib.request.Request(f"{found[1]}/logs?count=exact", headers=headers)  # noqa: S310 -- the line above says http
            with urllib.request.urlopen(request) as answer:  # noqa: S310 -- the same
                assert json.load(answer)["total"] > 0
        finally:
            process.send_signal(signal.SIGINT)
    assert [*tmp_path.iterdir(), *temporary.iterdir()] == []
