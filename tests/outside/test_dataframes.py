"""The programs of the page about pandas, polars and DuckDB print what it shows; the packages get an environment."""

import subprocess
import sys
from pathlib import Path

import pytest

from transcripts import Terminal, blocks, matches_output

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGES = ("pandas", "polars", "duckdb", "httpx2")

pytestmark = [pytest.mark.outside, pytest.mark.timeout(600)]


@pytest.fixture
def python(tmp_path):
    """The interpreter of a new environment that has the packages."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    installed = tmp_path / "venv/bin/python"
    command = [installed, "-m", "pip", "install", "--quiet", *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the registry of Python packages gives no pandas, polars and DuckDB: {done.stderr[-300:]}")
    return installed


def test_the_programs_print_the_documented_output(tmp_path, python):
    page = blocks((DOCS / "connect/dataframes.md").read_text())
    programs = [(block, page[number + 1]) for number, block in enumerate(page) if block.language == "python"]
    assert len(programs) == 4
    folder = tmp_path / "site"
    folder.mkdir()
    with Terminal(folder, PYTHONPATH=str(ROOT / "src")) as terminal:
        terminal.run_page(DOCS / "start.md")
        terminal.type("export MM_TOKEN=$(mm token add ADM --scope read)")
        for program, expected in programs:
            (folder / program.title).write_text(program.text.replace(":8000", f":{terminal.port}"))
            code, output = terminal.type(f"{python} {program.title}")
            assert (code, matches_output(expected.text.strip(), output)) == (0, True), (program.title, output)
