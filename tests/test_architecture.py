"""The size limits and import rules of the code base. Each rule is one test, which lists all violations."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp

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
Function = ast.FunctionDef | ast.AsyncFunctionDef
MAX_FILE = 400
MAX_FUNCTION = 40
MAX_PARAMETERS = 5
MAX_ENTRIES = 14
EXEMPT_PACKAGES: set[str] = set()
# Module names that do not describe a purpose.
FORBIDDEN = {"utils", "helpers", "common", "core", "manager", "managers", "base_service", "misc"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def text(path: Path) -> str:
    return path.read_text()


@cache
def functions() -> list[tuple[Path, Function]]:
    """Return every function of the sources with its file; each file is parsed once."""
    return [
        (path, node)
        for path in SOURCES
        for node in ast.walk(ast.parse(text(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def parameters(function: Function) -> int:
    """Count the parameters that a caller can pass."""
    arguments = function.args
    first = [argument.arg for argument in arguments.args[:1]]
    is_method = first in (["self"], ["cls"])
    return len([*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]) - is_method


def test_no_file_has_more_than_400_lines():
    assert PYTHON
    assert CONSOLE_SOURCES
    lengths = {name(path): len(text(path).splitlines()) for path in [*PYTHON, *CONSOLE_SOURCES]}
    assert {file: length for file, length in lengths.items() if length > MAX_FILE} == {}


def test_no_function_has_more_than_40_lines():
    assert functions()
    lengths = [(name(path), node.name, node.end_lineno - node.lineno + 1) for path, node in functions()]
    assert [function for function in lengths if function[-1] > MAX_FUNCTION] == []


def test_no_function_has_more_than_five_parameters():
    counts = [(name(path), node.name, parameters(node)) for path, node in functions() if "cli" not in path.parts]
    assert [function for function in counts if function[-1] > MAX_PARAMETERS] == []


def test_no_package_has_more_than_14_entries():
    widths = {}
    for package in {path.parent for path in SOURCES}:
        packages = [path for path in package.iterdir() if (path / "__init__.py").is_file()]
        modules = [path for path in package.glob("*.py") if path.name != "__init__.py"]
        widths[name(package)] = len([*packages, *modules])
    assert {package for package, width in widths.items() if width > MAX_ENTRIES} == EXEMPT_PACKAGES, widths


# Differences between the engines belong in methods of `database.engines`.
def test_no_module_compares_the_engine():
    question = re.compile(r"\b(is|is not|==|!=) (SQLITE|POSTGRESQL)\b|engine\.name (==|!=|in) ")
    assert [name(path) for path in SOURCES if question.search(text(path))] == []


def test_no_console_folder_has_more_than_14_files():
    # Exclude the translations, which have a file for each page of the console.
    folders = {path.parent for path in CONSOLE_SOURCES if path.parents[1].name != "i18n"}
    widths = {name(folder): len([path for path in folder.iterdir() if path.is_file()]) for folder in folders}
    assert {folder: width for folder, width in widths.items() if width > MAX_ENTRIES} == {}


def test_no_module_has_a_meaningless_name():
    assert [name(path) for path in [*SOURCES, *CONSOLE_SOURCES] if path.name.partition(".")[0] in FORBIDDEN] == []


def test_every_lint_suppression_gives_a_reason():
    suppressions = [
        (name(path), line)
        for path in PYTHON
        for line in text(path).splitlines()
        if re.search(r"# (noqa|ty: ignore)[:\[]", line)
    ]
    assert suppressions
    assert [(file, line) for file, line in suppressions if " -- " not in line] == []


def test_there_are_no_circular_imports():
    # import-linter checks the layers. This test checks modules within a layer, including imports inside functions.
    graph = grimp.build_graph("machine_monitor", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 100
    assert list(circles(imports)) == []


def circles(imports: dict[str, set[str]]) -> Iterator[set[str]]:
    """Yield the groups of modules that import each other, directly or indirectly."""
    reached = {module: reachable(imports, module) for module in imports}
    in_circles = {module for module in imports if module in reached[module]}
    while in_circles:
        module = in_circles.pop()
        group = {module, *(other for other in in_circles if other in reached[module] and module in reached[other])}
        in_circles -= group
        yield group


def reachable(imports: dict[str, set[str]], module: str) -> set[str]:
    found, waiting = set(), [*imports[module]]
    while waiting:
        if (each := waiting.pop()) not in found:
            found.add(each)
            waiting += imports[each]
    return found


def test_circular_imports_are_detected():
    imports = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}, "e": {"a"}}
    assert sorted(map(sorted, circles(imports))) == [["b", "c"], ["d"]]
