"""Builds the site of the documentation: `make docs` runs it in `.venv-docs`.

The pages are copied with the folders that they have in the checkout, so that a link between two of them is the same
on the site and on GitHub. A link to a page or heading that is not there ends the build.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".site"
PAGES = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "frontend/README.md",
    "benchmarks/README.md",
)
# Files beside pages that pages show or link to.
SHOWN = ("benchmarks/latency.svg",)
SUFFIXES = {".md", ".svg", ".png", ".json", ".conf"}
NAMES = {"Caddyfile"}


def main(folder: Path = FOLDER) -> None:
    """Copy the pages, and build."""
    shutil.rmtree(folder, ignore_errors=True)
    found = [path for path in (ROOT / "docs").rglob("*") if path.suffix in SUFFIXES or path.name in NAMES]
    documents = [path.relative_to(ROOT).as_posix() for path in found]
    for name in (*PAGES, *SHOWN, *documents):
        copy = folder / "pages" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    configured = shutil.copy(ROOT / "docs/zensical.toml", folder)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(configured)]
    sys.exit(subprocess.run(command, cwd=folder, check=False).returncode)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
