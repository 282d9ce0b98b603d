"""Hooks for Hatch: build the console, so that packages contain it, and adapt the README for package indexes."""

import re
import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

PICTURE = re.compile(r'<img src="(?!https?:)([^"]+)"[^>]*>\s*')
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)]+)\)")


class ConsoleHook(BuildHookInterface):
    """Run `frontend/build.py`, except for an editable install, where `make console` does it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the console, or print why the package does not contain it."""
        del build_data
        script = Path(self.root) / "frontend" / "build.py"
        # In a source distribution the console is already built, and the script finds nothing to do.
        if version != "editable" and script.is_file():
            runpy.run_path(str(script), run_name="__main__")


class ReadmeHook(MetadataHookInterface):
    """Make the long description of the package from README.md, whose links and pictures are relative."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the field `readme`."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        base = metadata.get("urls", {}).get("Source")
        described = describe(text, base and f"{base}/%s/v{metadata['version']}/")
        metadata["readme"] = {"content-type": "text/markdown", "text": described}


def describe(readme: str, base: str | None) -> str:
    """Return the README as a package index can show it: it has no other file of the repository.

    `base` is the address of the repository's files, where `%s` stands for `blob` (pages) or `raw` (pictures). Without
    it, pictures are left out, and links are their texts.
    """
    if base is None:
        return LINK.sub(r"\1", PICTURE.sub("", readme))
    readme = PICTURE.sub(lambda found: found[0].replace(found[1], base % "raw" + found[1], 1), readme)
    return LINK.sub(lambda found: f"[{found[1]}]({base % 'blob'}{found[2]})", readme)
