"""The budgets of the house: what grows past them is split, or deleted."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PYTHON = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "alembic").rglob("*.py"))]
CONSOLE = ROOT / "frontend"
GENERATED = CONSOLE / "src/api/schema.d.ts"
CONSOLE_SOURCES = sorted(
    path
    for folder in ("src", "tests")
    for path in (CONSOLE / folder).rglob("*.*")
    if path.suffix in {".ts", ".svelte", ".css"} and path != GENERATED
)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
MAX_FILE = 400
MAX_FUNCTION = 40
MAX_PARAMETERS = 5
MAX_FILES_OF_PACKAGE = 14
# Names that say nothing about what a module is for.
FORBIDDEN = {"utils", "helpers", "common", "core", "manager", "managers", "base_service", "misc"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, FUNCTIONS)]


@pytest.mark.parametrize("path", [*PYTHON, *CONSOLE_SOURCES], ids=name)
def test_a_file_is_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= MAX_FILE


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_function_fits_a_screen(path):
    long = {node.name: node.end_lineno - node.lineno + 1 for node in functions(path)}
    assert {function: lines for function, lines in long.items() if lines > MAX_FUNCTION} == {}


@pytest.mark.parametrize("path", [path for path in SOURCES if "cli" not in path.parts], ids=name)
def test_a_function_takes_few_parameters(path):
    counts = {
        node.name: len([*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs])
        - (node.args.args[:1] != [] and node.args.args[0].arg in ("self", "cls"))
        for node in functions(path)
    }
    assert {function: count for function, count in counts.items() if count > MAX_PARAMETERS} == {}


@pytest.mark.parametrize("package", sorted({path.parent for path in SOURCES}), ids=name)
def test_a_package_is_seen_at_a_glance(package):
    assert len(list(package.glob("*.py"))) <= MAX_FILES_OF_PACKAGE


# A language has a file for each place.
@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in CONSOLE_SOURCES if path.parents[1].name != "words"}), ids=name
)
def test_a_folder_of_the_console_is_seen_at_a_glance(folder):
    assert len([path for path in folder.iterdir() if path.is_file()]) <= MAX_FILES_OF_PACKAGE


# What an engine does differently is a method of `database.engines`.
@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_module_asks_which_engine_it_has(path):
    assert re.search(r"\b(is|is not|==|!=) (SQLITE|POSTGRESQL)\b|engine\.name (==|!=|in) ", path.read_text()) is None


@pytest.mark.parametrize("path", [*SOURCES, *CONSOLE_SOURCES], ids=name)
def test_a_module_is_named_by_what_it_is_for(path):
    assert path.name.partition(".")[0] not in FORBIDDEN


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_a_suppression_gives_its_reason(path):
    lines = [line for line in path.read_text().splitlines() if re.search(r"# (noqa|ty: ignore)[:\[]", line)]
    assert [line for line in lines if " -- " not in line] == []
