"""Lets a wheel contain the console: builds it before the files are gathered."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConsoleHook(BuildHookInterface):
    """Runs `frontend/build.py`; an editable install leaves that to `make console`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the console, or say why the wheel has none."""
        del build_data
        script = Path(self.root) / "frontend" / "build.py"
        # A source distribution carries the console as it was built.
        if version != "editable" and script.is_file():
            runpy.run_path(str(script), run_name="__main__")
