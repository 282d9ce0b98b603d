"""The commands in the documentation print the output that it shows. Each page has its own shell and folder."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from machine_monitor.database import database_urls
from transcripts import CONTINUES, VARIABLES, Terminal, blocks, matches_output, steps, terminal_after

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
START = "start.md"
POSTGRESQL = "postgresql://machines:secret@localhost/machines"
PAGES = sorted(
    page.relative_to(DOCS).as_posix()
    for page in DOCS.glob("**/*.md")
    if any(block.language == "console" for block in blocks(page.read_text()))
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.untraced,
    pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl, which the pages use"),
]


@pytest.fixture(scope="session")
def start_page(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """Run the page about the first start; its folder and the variables of its shell."""
    folder = tmp_path_factory.mktemp("start")
    with Terminal(folder) as terminal:
        terminal.run_page(DOCS / START)
        variables = {name: terminal.type(f'printf %s "${name}"')[1].rstrip("\n") for name in VARIABLES}
    return folder, variables


@pytest.fixture
def postgresql(postgresql_url) -> Iterator[dict[str, str]]:
    """Replace the URL of the database in the pages by that of an empty one."""
    name = f"mm_docs_{uuid.uuid4().hex[:8]}"
    url = database_urls.parse(postgresql_url)
    with psycopg.connect(url.conninfo, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        database_url = url.sqlalchemy_url.set(database=name).render_as_string(hide_password=False)
        # As commands print it.
        yield {POSTGRESQL: database_urls.parse(database_url).redacted}
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_commands_of_the_readme_print_the_documented_output(tmp_path):
    with Terminal(tmp_path) as terminal:
        terminal.run_page(ROOT / "README.md")


@pytest.mark.parametrize("page", [page for page in PAGES if page != START])
def test_the_commands_of_a_page_print_the_documented_output(request, start_page, tmp_path, page):
    text = (DOCS / page).read_text()
    replaced = request.getfixturevalue("postgresql") if POSTGRESQL in text else {}
    if CONTINUES.search(text):
        with terminal_after(*start_page, tmp_path / "site", replaced) as terminal:
            terminal.run_page(DOCS / page)
    else:
        with Terminal(tmp_path, replaced) as terminal:
            terminal.run_page(DOCS / page)


@pytest.mark.usefixtures("start_page")
def test_the_commands_of_the_start_page_print_the_documented_output():
    """The fixture runs it."""


def test_transcripts_are_parsed_and_compared_with_the_output():
    text = "$ curl \\\n>   x\n{...}\n\n$ A=1\n$ cat <<E\n> a\n> E\na\n"
    assert steps(text) == [("curl \\\n  x", "{...}"), ("A=1", ""), ("cat <<E\na\nE", "a")]
    assert matches_output('{"a":...}', '{"a":\n1}')
    assert not matches_output('{"a":...}', '{"b":1}')
