"""A build hook for Hatch: it builds the console first, so that the wheel contains it."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConsoleHook(BuildHookInterface):
    """Run `frontend/build.py`, except for an editable install, where `make console` does it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the console, or print why the wheel does not contain it."""
        del build_data
        script = Path(self.root) / "frontend" / "build.py"
        # In a source distribution the console is already built, and the script finds nothing to do.
        if version != "editable" and script.is_file():
            runpy.run_path(str(script), run_name="__main__")
