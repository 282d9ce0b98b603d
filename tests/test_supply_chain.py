"""The workflow pins what it runs, deployment files fit their schemas, and a bill of materials names every package."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
WORKFLOW = ROOT / ".github/workflows/ci.yml"


def run(*command: str | Path) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_action_is_pinned_by_hash_with_its_version():
    actions = re.findall(r"uses: (.*)", WORKFLOW.read_text())
    assert len(actions) > 10
    pinned = re.compile(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [action for action in actions if not pinned.fullmatch(action)] == []
    # One version of each action.
    assert len(set(actions)) == len({action.partition("@")[0] for action in actions})


@pytest.mark.slow
def test_zizmor_finds_no_fault_in_the_workflow():
    run(BIN / "zizmor", "--offline", "--no-progress", WORKFLOW)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schema", "file"), [("compose-spec", "docker-compose.yml"), ("github-workflows", ".github/workflows/ci.yml")]
)
def test_files_of_other_programs_fit_their_schemas(schema, file):
    run(BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", file)


@pytest.mark.slow
def test_the_bills_of_materials_name_every_locked_package(tmp_path):
    for program in ("make", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    run("make", "sbom", f"BIN={BIN}", f"DIST={tmp_path}", "--old-file=.venv/installed")
    python, console = (json.loads(path.read_text()) for path in sorted(tmp_path.iterdir(), reverse=True))
    assert python["metadata"]["component"]["name"] == "machine-monitor"
    lock = (ROOT / "requirements.lock").read_text()
    pins = map(Requirement, re.findall(r"^([a-z].*==\S+)", lock, re.MULTILINE))
    assert {f"{pin.name}{pin.specifier}" for pin in pins} == {
        f"{each['name']}=={each['version']}" for each in python["components"]
    }
    hashes = {found["content"] for each in python["components"] for found in each["externalReferences"][0]["hashes"]}
    assert set(re.findall(r"sha256:([0-9a-f]{64})", lock)) == hashes
    packages = json.loads((ROOT / "frontend/package-lock.json").read_text())["packages"]
    assert {
        f"{path.rpartition('node_modules/')[2]}@{found['version']}" for path, found in packages.items() if path
    } == {each["bom-ref"] for each in console["components"]}
