"""Files and folders in the documentation exist, and the tree in ARCHITECTURE.md matches the code."""

import importlib
import re
from pathlib import Path
from zoneinfo import available_timezones

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/machine_monitor"
DOCUMENTS = [*(ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md")), *ROOT.glob("docs/**/*.md")]
# At least two names with a slash between them: `database/batches`, `language/operators.OPERATORS`.
PATH = re.compile(r"\.?\w[\w.-]*(?:/\w[\w.-]*)+/?")
MEDIA_TYPE = re.compile(r"(?:application|text|image|multipart)/.*")
# Generated files, which git ignores.
GENERATED = {"tests/console/screenshots", "src/machine_monitor/web", "frontend/node_modules"}
# Entries of the package that the tree omits: the package file, the marker `py.typed`, caches, and the built console.
NOT_SHOWN = {"__init__", "py", "__pycache__", "web"}


def paths_in(text: str) -> list[str]:
    """Return the paths in backticks."""
    spans = [span for span in re.findall(r"`([^`\n]+)`", text) if PATH.fullmatch(span)]
    return [span for span in spans if not MEDIA_TYPE.fullmatch(span) and span not in available_timezones()]


def exists(span: str) -> bool:
    """Return whether a path exists, from the root or inside the package; `.py` is optional, an attribute may follow."""
    path = span.rstrip("/")
    if path in GENERATED or (ROOT / path).exists() or modules(path):
        return True
    module, _, attribute = path.rpartition(".")
    candidates = modules(module) if module else []
    return any(hasattr(importlib.import_module(dotted(each)), attribute) for each in candidates)


def modules(path: str) -> list[Path]:
    """Find a path inside the package; leading folders may be omitted, as in `access/rules`."""
    return [*PACKAGE.glob(f"**/{path}"), *PACKAGE.glob(f"**/{path}.py")]


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_paths_that_a_document_names_exist(document):
    assert [span for span in paths_in(document.read_text()) if not exists(span)] == []


def test_paths_in_documents_are_detected():
    assert paths_in("`database/batches` `Europe/Paris` `text/csv` `/logs/{uuid}` `a/b c` `api/app.py`") == [
        "database/batches",
        "api/app.py",
    ]
    there = ["language/operators.OPERATORS", "api/routes/", "tests/conftest.py", "access/rules", ".ci/run"]
    assert [span for span in there if not exists(span)] == []
    absent = ["language/operators.NOTHING", "api/nowhere", "tests/nowhere.py", "no/operators.OPERATORS"]
    assert [span for span in absent if exists(span)] == []


def documented_tree() -> dict[str, set[str]]:
    """Parse the tree in ARCHITECTURE.md: each folder with the names in it."""
    block = (ROOT / "ARCHITECTURE.md").read_text().split("```")[1]
    shown, above = {"": set()}, [""]
    for line in block.strip("\n").splitlines():
        depth, within_names = divmod(len(line) - len(line.lstrip()), 2)
        if depth >= len(above) or within_names:
            # This line continues the description of the previous line.
            text = line
        else:
            names, _, text = line.strip().partition("  ")
            del above[depth + 1 :]
            for name in names.split():
                shown[above[-1]].add(name)
            above.append(f"{above[-1]}{names}")
            shown.setdefault(above[-1], set())
        # Descriptions also mention folders: `routes/`.
        shown[above[-1]] |= set(re.findall(r"(?<![\w/`])\w+/(?!\w)", re.sub(r"`[^`]*`", "", text)))
    return shown


def test_the_tree_in_architecture_md_matches_the_code():
    shown = documented_tree()
    missing = [
        f"{folder}{name}"
        for folder, names in shown.items()
        for name in names
        if not (ROOT / folder / name).exists() and not (ROOT / folder / f"{name}.py").exists()
    ]
    assert [path for path in missing if path.rstrip("/") not in GENERATED] == []
    inside = {path.stem for path in PACKAGE.iterdir()}
    assert inside - NOT_SHOWN == {name.rstrip("/") for name in shown["src/machine_monitor/"]} - NOT_SHOWN


def test_the_map_of_the_console_names_its_folders():
    rows = re.findall(r"^\| (`\w+/`.*)$", (ROOT / "frontend/README.md").read_text(), re.MULTILINE)
    named = {row: re.findall(r"`(\w+)/`", row) for row in rows}
    first_cells = [re.findall(r"`(\w+)/`", row.partition("|")[0]) for row in rows]
    source = ROOT / "frontend/src"
    assert {name for cell in first_cells for name in cell} == {path.name for path in source.iterdir() if path.is_dir()}
    folders = {path.name for path in source.glob("**/") if path != source}
    assert {name for names in named.values() for name in names} <= folders
