"""Tables, names, links and pictures in the documentation match the code; `test_transcripts.py` runs the examples."""

import asyncio
import json
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from conftest import serving
from links import anchors, dead_links, links
from machine_monitor.api.app import create_app
from machine_monitor.api.serving import metrics
from machine_monitor.cli.main import app as commands
from machine_monitor.config import FOREIGN_NAMES, Settings
from machine_monitor.database import database_urls
from machine_monitor.errors import PROBLEMS
from machine_monitor.query.language.operators import OPERATORS
from machine_monitor.suggestions import PROTOTYPE_FIELDS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
PYTHON = README.split("```python\n")[1].split("```")[0]
PAGES = [*(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")), *sorted(DOCS.glob("**/*.md"))]
# Environment variables of other programs, or of the test suite.
OTHER_VARIABLES = {"MM_TEST_CHROMIUM", "MM_API"} | FOREIGN_NAMES
MAX_LINE = 100


def relative_path(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def documented_codes(page: str) -> set[str]:
    """Return the texts in backticks in the first column of a page's tables."""
    lines = re.findall(r"^\| (.*) \|$", (DOCS / page).read_text(), re.MULTILINE)
    return {code for line in lines for code in codes_in_first_cell(line)}


def codes_in_first_cell(line: str) -> list[str]:
    return re.findall(r"`([^`]+)`", line.split(" | ", maxsplit=1)[0])


def known_commands() -> dict[str, set[str]]:
    """Return the options of each command."""
    options = {}
    for name, command in get_command(commands).commands.items():
        below = getattr(command, "commands", None)
        for words, one in [(name, command)] if below is None else [(f"{name} {sub}", below[sub]) for sub in below]:
            options[words] = {option for parameter in one.params for option in parameter.opts} | {"--help"}
    return options


# Tables


@pytest.mark.parametrize("page", sorted((DOCS / "reference").glob("*.md")), ids=relative_path)
def test_the_tables_of_the_reference_are_up_to_date(page):
    tables = runpy.run_path(str(DOCS / "tables.py"))
    assert page.read_text() == tables["refreshed"](page.read_text()), "run `make openapi`"


def test_the_schema_of_mappings_is_up_to_date():
    tables = runpy.run_path(str(DOCS / "tables.py"))
    assert (DOCS / "reference/mapping.schema.json").read_text() == tables["mapping_schema"](), "run `make openapi`"


def test_the_reference_lists_all_settings_operators_commands_metrics_and_problems():
    assert {f"MM_{name.upper()}" for name in Settings.model_fields} <= documented_codes("reference/settings.md")
    assert {f"field__{name}=value" for name in OPERATORS if name} <= documented_codes("reference/operators.md")
    assert {f"mm {name}" for name in known_commands()} == {
        re.sub(r"( [A-Z_]+)+$", "", row) for row in documented_codes("reference/commands.md") if row.startswith("mm ")
    }
    families = metrics.REGISTRY.collect()
    counted = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    assert counted <= documented_codes("reference/metrics.md")
    problems = (DOCS / "reference/problems.md").read_text()
    assert set(re.findall(r"^\| \d{3} \| `([a-z-]+)` \|", problems, re.MULTILINE)) == set(PROBLEMS)


def test_the_openapi_document_is_up_to_date():
    committed = json.loads((ROOT / "docs/openapi.json").read_text())
    assert committed == create_app(Settings.model_construct()).openapi(), "run `make openapi`"


def test_every_operation_is_named_by_its_function():
    document = create_app(Settings.model_construct()).openapi()
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", name) for name in names)


def test_the_documented_fields_of_the_prototype_match_the_code():
    page = (ROOT / "docs/prototype.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`)? ?\| (?:`(\w+)` of a \w+)? ?\|$", page, re.MULTILINE)
    documented = {name: tuple(filter(None, fields)) for name, *fields in rows}
    assert documented == PROTOTYPE_FIELDS


def test_the_documented_paths_of_the_console_exist():
    places = re.findall(r"^  \w+: '(/[^']*)',", (ROOT / "frontend/src/router/routes.ts").read_text(), re.MULTILINE)
    documented = re.findall(r"`/ui(/[^`?#]*)", (DOCS / "console.md").read_text())
    assert [place for place in documented if place not in places] == []
    assert len(places) > 20


def test_the_changelog_begins_with_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(r"^## \[?([\w.]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1] == version


# Names


@pytest.mark.parametrize("page", PAGES, ids=relative_path)
def test_settings_commands_and_make_targets_on_a_page_exist(page):
    text = page.read_text()
    settings = set(re.findall(r"\bMM_[A-Z_]*[A-Z]\b", text)) - OTHER_VARIABLES
    assert settings <= {f"MM_{name.upper()}" for name in Settings.model_fields}
    commands = known_commands()
    for typed in re.findall(r"(?:^\$ |^|`|bin/|\()mm ((?:[a-z]+ ?)+[^`\n|)]*)", text, re.MULTILINE):
        words = typed.split()
        name = next((name for name in (" ".join(words[:2]), words[0]) if name in commands), "")
        # `mm token` alone is a group of commands.
        assert name or words[0] in {"user", "token"}, typed
        options = set(re.findall(r"(?<=\s)--[a-z-]+", typed.split(" #")[0].split(" --port")[0]))
        assert not name or options <= commands[name], typed
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", PAGES, ids=relative_path)
def test_a_page_has_no_dead_links(page):
    assert dead_links(page, ROOT) == []


def test_links_and_anchors_are_parsed_as_on_github(tmp_path):
    text = (
        '# A `b` c?\n\n## A b c\n\n[x](y.md#z) `[no](no.md)` ![p](p.png)\n```\n[n](n.md)\n# no\n```\n<img src="q.png">'
    )
    assert [*links(text)] == ["y.md#z", "p.png", "q.png"]
    assert anchors(text) == {"a-b-c", "a-b-c-1"}
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](#one) [b](#two) [c](page.md#one) [d](gone.md) [e](https://example.com) [f](../x)")
    assert dead_links(page, tmp_path) == ["#two", "gone.md", "../x"]


def test_every_page_is_linked_from_the_index():
    listed = {(DOCS / link.partition("#")[0]).resolve() for link in links((DOCS / "README.md").read_text())}
    assert [
        relative_path(page) for page in DOCS.glob("**/*.md") if page not in listed and page != DOCS / "README.md"
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=relative_path)
def test_the_lines_of_prose_are_short(page):
    prose = re.sub(r"^```.*?^```\s*$|^\|.*$|^<img.*$|\]\([^)]*\)", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > MAX_LINE] == []


# One word for a thing: what the documentation writes instead.
REPLACED_WORDS = {
    r"[Mm]end(s|ed|ing)?": "fix",
    r"anew|made again": "rebuilt",
    r"environ\[.TOKEN|export TOKEN": "MM_TOKEN",
    r"(an|the|this|every) answer|[Aa]nswers are": "response",
}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=relative_path)
def test_pages_have_one_word_for_a_thing(page):
    text = page.read_text()
    assert {word: use for word, use in REPLACED_WORDS.items() if re.search(rf"\b(?:{word})\b", text)} == {}


def test_no_list_of_the_changelog_has_a_gap():
    items = r"^(?:- |  )\S.*\n\n- .*"
    assert re.findall(items, (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE) == []


def test_the_pictures_of_the_readme_exist_and_are_small():
    pictures = re.findall(r'src="([^"]+\.png)"', README)
    assert len(pictures) >= 2
    assert {path: size for path in pictures if not 0 < (size := (ROOT / path).stat().st_size) < 150_000} == {}


def test_the_drawings_are_up_to_date():
    drawn = runpy.run_path(str(DOCS / "internals/drawings.py"))
    expected = {f"{name}.svg": drawn["svg"](drawing) for name, drawing in drawn["DRAWINGS"].items()}
    assert {path.name: path.read_text() for path in (DOCS / "internals").glob("*.svg")} == expected, "run drawings.py"


# The README's program


async def test_the_python_example_of_the_readme_works(database_url, tmp_path):
    async with serving(Settings(database_url=database_url)) as client:
        await client.put("/machines/Saw", json={})
        for severity in ("minor", "major", "critical"):
            log = {"machine": "Saw", "type": "error", "severity": severity, "attributes": {"temp": 80}}
            assert (await client.post("/logs", json=log)).status_code == 201
        listed = (await client.get("/logs", params={"severity__gte": "major"})).json()["items"]
    url = database_urls.parse(database_url).sqlalchemy_url.render_as_string(hide_password=False)
    assert url.startswith(("sqlite+aiosqlite:///", "postgresql+psycopg://"))
    program = PYTHON.replace("sqlite+aiosqlite:///machine-monitor.db", url)
    command, options = [sys.executable, "-c", program], {"cwd": tmp_path, "capture_output": True, "check": True}
    run = await asyncio.to_thread(subprocess.run, command, **options)
    assert [json.loads(line) for line in run.stdout.splitlines()] == listed
    assert len(listed) == 2


def test_the_tests_that_the_page_on_security_names_exist():
    named = set(re.findall(r"`(test_\w+)`", (DOCS / "security.md").read_text()))
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert named
    assert {name for name in named if f"def {name}(" not in sources} == set()
