"""The packages have what a package index shows and what users need; the installed wheel works without the checkout."""

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.metadata import Metadata
from trove_classifiers import classifiers

from links import links
from machine_monitor.database.schema import migrations

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def environment(**given: str) -> dict[str, str]:
    """Return a minimal environment: no settings, no coverage, no other path to the package."""
    return {"PATH": os.environ["PATH"], **given}


def run(*command: str, cwd: Path, **given: str) -> str:
    completed = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment(**given), capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> Path:
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    run("-m", "hatchling", "build", "--directory", str(folder), cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(packages) -> Path:
    (built,) = packages.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder with the installed files; in PYTHONPATH it takes precedence over the checkout."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)  # noqa: S202 -- built above, and no tar file
    return folder


@pytest.fixture(scope="module")
def unpacked(packages, tmp_path_factory) -> Path:
    """The folder in the source distribution."""
    (built,) = packages.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(built) as archive:
        archive.extractall(folder, filter="data")
    return folder / built.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def metadata(installed) -> Metadata:
    """The metadata of the wheel; fields that break the specification raise an error."""
    (path,) = installed.glob("*.dist-info/METADATA")
    return Metadata.from_email(path.read_bytes())


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


def test_wheel_contains_the_licences_of_what_it_contains(installed):
    assert [path.read_bytes() for path in installed.glob("*.dist-info/licenses/*")] == [(ROOT / "LICENSE").read_bytes()]
    licences = (installed / "machine_monitor/web/licenses.md").read_text()
    npm = json.loads((ROOT / "frontend/package.json").read_text())["dependencies"]
    assert {name for name in npm if not re.search(rf"^## {name} - [\d.]+ \(", licences, re.MULTILINE)} == set()


def test_wheel_is_described_for_a_package_index(metadata):
    assert set(metadata.classifiers) <= classifiers
    assert metadata.keywords
    assert metadata.license_expression == "MIT"
    assert metadata.license_files == ["LICENSE"]
    named = {match[1] for name in metadata.classifiers if (match := re.search(r"Python :: (3\.\d+)$", name))}
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert named == set(workflow["jobs"]["test"]["strategy"]["matrix"]["python"])


def test_description_of_the_wheel_has_no_relative_links(metadata):
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description.startswith("# Machine Monitor\n")
    assert [link for link in links(metadata.description) if not link.startswith("https:")] == []


def test_links_of_the_description_lead_to_the_repository_if_the_metadata_names_it():
    describe = runpy.run_path(str(ROOT / "hatch_build.py"))["describe"]
    readme = 'A\n\n<img src="p/a.png" width="6"> <img src="b.png">\n\n[B](b.md#c), [C](https://c.example) [d](#d)\n'
    assert describe(readme, "https://example.com/x/%s/v1/") == (
        'A\n\n<img src="https://example.com/x/raw/v1/p/a.png" width="6"> <img src="https://example.com/x/raw/v1/b.png">'
        "\n\n[B](https://example.com/x/blob/v1/b.md#c), [C](https://c.example) [d](#d)\n"
    )
    assert describe(readme, None) == "A\n\nB, [C](https://c.example) [d](#d)\n"


def test_source_distribution_contains_only_what_a_build_needs(unpacked):
    assert {path.name for path in unpacked.iterdir()} == {
        *("PKG-INFO", "pyproject.toml", "hatch_build.py", ".gitignore", "README.md", "LICENSE", "CHANGELOG.md"),
        *("src", "alembic", "alembic.ini", "frontend"),
    }
    assert [path for path in unpacked.rglob("*") if path.name in {"node_modules", "__pycache__", ".env"}] == []


def test_source_distribution_builds_the_same_wheel_without_node(unpacked, wheel, tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    built = subprocess.run(
        command,
        cwd=unpacked,
        env={"PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "The console" not in built.stderr
    # The record of a wheel has the digest of each file.
    records = []
    for path in (wheel, *tmp_path.glob("*.whl")):
        with zipfile.ZipFile(path) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith("/RECORD")]
            records.append(sorted(archive.read(name).decode().splitlines()))
    assert records[0] == records[1]
    assert [line for line in records[0] if line.startswith("machine_monitor/web/index.html,")]


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
                if match := re.search(r"running on (http://[\d.:]+)", line):
                    break
            else:
                pytest.fail("".join(output))
            token = next(line for line in process.stdout if "Authorization: " in line)
            headers = {"Authorization": token.partition("Authorization: ")[2].strip()}
            request = urllib.request.Request(f"{match[1]}/logs?count=exact", headers=headers)  # noqa: S310 -- the line above says http
            with urllib.request.urlopen(request) as response:  # noqa: S310 -- the same
                assert json.load(response)["total"] > 0
        finally:
            process.send_signal(signal.SIGINT)
    assert [*tmp_path.iterdir(), *temporary.iterdir()] == []
