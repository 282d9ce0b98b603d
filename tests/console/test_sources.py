"""The console's sources: generated API types, package lock, and unit tests."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRONTEND = ROOT / "frontend"
GENERATED = FRONTEND / "src/api/schema.d.ts"
TEMPLATES = sorted((FRONTEND / "src").rglob("*.svelte"))


@pytest.fixture(scope="module")
def npx() -> list[str]:
    """The command that runs a tool from the console's npm packages."""
    npx_path = shutil.which("npx")
    if npx_path is None or not (FRONTEND / "node_modules").is_dir():
        pytest.skip("needs Node and the console's packages: `make console` where Node is installed")
    return [npx_path, "--no-install"]


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=FRONTEND, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_api_types_are_up_to_date(npx):
    generated = run(*npx, "openapi-typescript", "../docs/openapi.json")
    assert generated.strip() == GENERATED.read_text().strip(), "run `npm run api` in frontend/"


def test_the_console_type_checks(npx):
    run(*npx, "svelte-check", "--fail-on-warnings")


def test_the_console_unit_tests_pass(npx):
    run(*npx, "vitest", "run")


def test_the_package_lock_has_digests_and_no_registry():
    packages = json.loads((FRONTEND / "package-lock.json").read_text())["packages"]
    assert all("resolved" not in package for package in packages.values())
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []


def test_no_template_has_an_inline_style():
    markups = {path.stem: path.read_text().split("</script>")[-1].partition("<style>")[0] for path in TEMPLATES}
    assert markups
    assert [template for template, markup in markups.items() if re.search(r"\sstyle=", markup)] == []


def test_every_message_is_used():
    folder = FRONTEND / "src/i18n"
    sources = [path for path in (FRONTEND / "src").rglob("*") if path.suffix in (".svelte", ".ts")]
    code = "\n".join(path.read_text() for path in sources if not path.is_relative_to(folder / "en"))
    code = "\n".join(line for line in code.split("\n") if not re.match(r"^  \w+: ", line))
    keys = {
        f"{path.stem}.{key}"
        for path in (folder / "en").glob("*.ts")
        for key in re.findall(r"^  (\w+): ", path.read_text(), re.MULTILINE)
    }
    assert len(keys) > 400
    used = {*re.findall(r"\.(\w+)", code), *re.findall(r"\w+", "".join(re.findall(r"const \{(.*?)\}", code)))}
    assert {key for key in keys if key.split(".")[1] not in used} == set()
