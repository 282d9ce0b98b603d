"""What was measured, kept as a file for each number of rows; a section that runs again replaces its own part."""

import json
import os
import platform
import re
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.options import HERE, ROOT, Options

# What the README shows is kept beside it.
SHOWN = HERE / "results"
PACKAGES = ("fastapi", "uvicorn", "sqlmodel", "sqlalchemy", "aiosqlite", "psycopg", "msgspec")


def load(options: Options) -> dict[str, Any]:
    """What is known for this number of rows."""
    path = _file(options)
    return json.loads(path.read_text()) if path.is_file() else {"rows": options.rows, "sections": {}}


def keep(options: Options, section: str, found: dict[str, Any], busy: float) -> None:
    """Write one section's part, with when and where it was seen; `busy` is the load average before the run."""
    known = load(options)
    known["sections"][section] = {
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "commit": _commit(),
        "load_before": round(busy, 2),
        "machine": machine(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "found": _rounded(found),
    }
    path = _file(options)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1) + "\n")


def show(options: Options) -> list[dict[str, Any]]:
    """All that was kept, fewest rows first, copied to where the README's numbers are; what was there stays."""
    SHOWN.mkdir(exist_ok=True)
    for path in _file(options).parent.glob("*.json"):
        (SHOWN / path.name).write_text(path.read_text())
    return sorted((json.loads(path.read_text()) for path in SHOWN.glob("*.json")), key=lambda known: known["rows"])


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory[1]) / 1024**2) if memory else None,
        "system": f"Linux {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: version(name) for name in PACKAGES},
    }


def _file(options: Options) -> Path:
    return options.folder / "results" / f"{options.rows}.json"


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _rounded(value: Any) -> Any:
    """The same with four digits: more were not measured."""
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
