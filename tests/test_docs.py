"""The documentation is correct: its tables match the code, and the examples of the README are executed."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from typer.main import get_command

from conftest import serving
from machine_monitor.api.app import create_app
from machine_monitor.api.serving import metrics
from machine_monitor.cli.main import app as commands
from machine_monitor.config import Settings
from machine_monitor.database import addresses
from machine_monitor.errors import PROBLEMS
from machine_monitor.query.language.operators import OPERATORS
from machine_monitor.suggestions import PROTOTYPE_FIELDS

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs/reference.md").read_text()
README = (ROOT / "README.md").read_text()
PYTHON = README.split("```python\n")[1].split("```")[0]


def rows(title):
    """Return the cells of the reference table whose header starts with `title`."""
    table = REFERENCE[REFERENCE.index(f"| {title} |") :].split("\n\n")[0]
    return [[cell.strip(" `") for cell in row.strip("|").split(" | ")] for row in table.splitlines()[2:]]


def test_the_operators_are_those_documented():
    documented = {name: (sentence, kinds) for name, sentence, kinds in rows("operator")}
    assert documented == {
        operator.name: (operator.description.strip("`"), ", ".join(sorted(operator.kinds)))
        for operator in OPERATORS.values()
        if operator.name
    }


def test_the_problems_are_those_documented():
    assert {(int(status), code, title) for status, code, title in rows("status")} == {
        (problem.status, code, problem.title) for code, problem in PROBLEMS.items()
    }


def test_the_settings_are_those_documented():
    documented = {name: description for name, _, description in rows("setting")}
    assert documented == {f"MM_{name.upper()}": info.description for name, info in Settings.model_fields.items()}


def test_the_metrics_are_those_documented():
    families = metrics.OURS.collect()
    counted = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    assert {name for name, *_ in rows("metric")} == counted


def test_the_commands_are_those_documented():
    known = {
        f"mm {' '.join([name, *below])}"
        for name, command in get_command(commands).commands.items()
        for below in ([[sub] for sub in command.commands] if hasattr(command, "commands") else [[]])
    }
    assert {command.strip("`") for command, _ in rows("command")} == known


def test_the_openapi_document_is_up_to_date():
    committed = json.loads((ROOT / "docs/openapi.json").read_text())
    assert committed == create_app(Settings.model_construct()).openapi(), "run `make openapi`"


def test_every_operation_is_named_by_its_function():
    document = create_app(Settings.model_construct()).openapi()
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", name) for name in names)


def test_the_pictures_of_the_readme_exist_and_are_small():
    pictures = re.findall(r'src="([^"]+\.png)"', README)
    assert len(pictures) >= 2
    assert {path: size for path in pictures if not 0 < (size := (ROOT / path).stat().st_size) < 150_000} == {}


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl, which the transcript of the README uses")
@pytest.mark.slow
def test_the_transcript_of_the_readme_is_correct(tmp_path, unused_tcp_port):
    transcript = README.split("```console\n")[1].split("```")[0].replace("\\\n>", " ")
    steps = re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", transcript, re.MULTILINE)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MM_")}
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
    serving = [sys.executable, "-m", "machine_monitor.cli.main", "serve", "--port", str(unused_tcp_port)]
    with contextlib.ExitStack() as stack:
        for command, expected in steps:
            if command == "mm serve &":
                server = stack.enter_context(subprocess.Popen(serving, cwd=tmp_path, env=variables))
                stack.callback(server.terminate)
                wait(f"http://127.0.0.1:{unused_tcp_port}/readyz")
                continue
            name = re.match(r"(\w+)=", command)
            # Carry variables over to the next command.
            typed = f'{command}; printf %s "${name[1]}"' if name else command.replace(":8000/", f":{unused_tcp_port}/")
            shell = subprocess.run(
                ["sh", "-c", typed],  # noqa: S607 -- the one on the PATH
                cwd=tmp_path,
                env=variables,
                capture_output=True,
                text=True,
                check=True,
            )
            if name:
                variables[name[1]] = shell.stdout
                continue
            pattern = ".*".join(re.escape(part) for part in expected.strip().split("..."))
            assert re.fullmatch(pattern, shell.stdout.strip(), re.DOTALL), shell.stdout


def wait(address):
    for _ in range(150):
        try:
            httpx2.get(address).raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the server does not respond")


async def test_the_python_example_of_the_readme_works(database_url, tmp_path):
    async with serving(Settings(database_url=database_url)) as client:
        await client.put("/machines/Saw", json={})
        for severity in ("minor", "major", "critical"):
            log = {"machine": "Saw", "type": "error", "severity": severity, "attributes": {"temp": 80}}
            assert (await client.post("/logs", json=log)).status_code == 201
        listed = (await client.get("/logs", params={"severity__gte": "major"})).json()["items"]
    url = addresses.parse(database_url).url.render_as_string(hide_password=False)
    assert url.startswith(("sqlite+aiosqlite:///", "postgresql+psycopg://"))
    program = PYTHON.replace("sqlite+aiosqlite:///machine-monitor.db", url)
    command, options = [sys.executable, "-c", program], {"cwd": tmp_path, "capture_output": True, "check": True}
    run = await asyncio.to_thread(subprocess.run, command, **options)
    assert [json.loads(line) for line in run.stdout.splitlines()] == listed
    assert len(listed) == 2


def test_the_fields_of_the_prototype_are_those_documented():
    page = (ROOT / "docs/prototype.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`)? ?\| (?:`(\w+)` of a \w+)? ?\|$", page, re.MULTILINE)
    documented = {name: tuple(filter(None, fields)) for name, *fields in rows}
    assert documented == PROTOTYPE_FIELDS
