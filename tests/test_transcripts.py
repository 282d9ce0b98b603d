"""What the pages of the documentation show is what happens: each is typed in a shell, in a folder of its own."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from machine_monitor.database import database_urls
from transcripts import CONTINUES, VARIABLES, Terminal, blocks, is_answer, steps, terminal_after

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
    pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl, which the pages are typed with"),
]


@pytest.fixture(scope="session")
def started(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """The folder that the page about the first start leaves, and the variables of its shell."""
    folder = tmp_path_factory.mktemp("start")
    with Terminal(folder) as terminal:
        terminal.read(DOCS / START)
        variables = {name: terminal.type(f'printf %s "${name}"')[1].rstrip("\n") for name in VARIABLES}
    return folder, variables


@pytest.fixture
def postgresql(postgresql_url) -> Iterator[dict[str, str]]:
    """An empty database in place of the one that the pages name."""
    name = f"mm_docs_{uuid.uuid4().hex[:8]}"
    url = database_urls.parse(postgresql_url)
    with psycopg.connect(url.conninfo, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        made = url.sqlalchemy_url.set(database=name, drivername="postgresql").render_as_string(hide_password=False)
        yield {POSTGRESQL: made}
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_readme_is_what_happens(tmp_path):
    with Terminal(tmp_path) as terminal:
        terminal.read(ROOT / "README.md")


@pytest.mark.parametrize("page", [page for page in PAGES if page != START])
def test_a_page_is_what_happens(request, started, tmp_path, page):
    text = (DOCS / page).read_text()
    replaced = request.getfixturevalue("postgresql") if POSTGRESQL in text else {}
    if CONTINUES.search(text):
        with terminal_after(*started, tmp_path / "site", replaced) as terminal:
            terminal.read(DOCS / page)
    else:
        with Terminal(tmp_path, replaced) as terminal:
            terminal.read(DOCS / page)


@pytest.mark.usefixtures("started")
def test_the_first_page_is_what_happens():
    """The fixture types it."""


def test_transcripts_are_compared():
    text = "$ curl \\\n>   x\n{...}\n\n$ A=1\n$ cat <<E\n> a\n> E\na\n"
    assert steps(text) == [("curl \\\n  x", "{...}"), ("A=1", ""), ("cat <<E\na\nE", "a")]
    assert is_answer('{"a":...}', '{"a":\n1}')
    assert not is_answer('{"a":...}', '{"b":1}')
