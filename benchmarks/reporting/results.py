"""Saves results: one file for each number of rows. A section that runs again replaces its earlier result."""

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

# The results that the README shows are versioned.
PUBLISHED = HERE / "results"
PACKAGES = ("fastapi", "uvicorn", "sqlmodel", "sqlalchemy", "aiosqlite", "psycopg", "msgspec")


def load(options: Options) -> dict[str, Any]:
    """Load the results for this number of rows."""
    path = _file(options)
    return json.loads(path.read_text()) if path.is_file() else {"rows": options.rows, "sections": {}}


def save(options: Options, section: str, result: dict[str, Any], load_average: float) -> None:
    """Save the result of a section, with time, commit, machine, and the load average before the run."""
    report = load(options)
    report["sections"][section] = {
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "commit": _commit(),
        "load_before": round(load_average, 2),
        "machine": machine(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "found": _round(result),
    }
    path = _file(options)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


def publish(options: Options) -> list[dict[str, Any]]:
    """Add all saved results to the versioned folder, and return everything there, fewest rows first.

    A saved section replaces the published one of the same name; the other published sections stay.
    """
    PUBLISHED.mkdir(exist_ok=True)
    for path in _file(options).parent.glob("*.json"):
        saved, published = json.loads(path.read_text()), PUBLISHED / path.name
        if published.is_file():
            saved["sections"] = json.loads(published.read_text())["sections"] | saved["sections"]
        published.write_text(json.dumps(saved, indent=1) + "\n")
    reports = [json.loads(path.read_text()) for path in PUBLISHED.glob("*.json")]
    return sorted(reports, key=lambda report: report["rows"])


def machine() -> dict[str, Any]:
    """Describe the hardware and software that the results depend on."""
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


def _round(value: Any) -> Any:
    """Round all numbers to four significant digits: the measurements are not more precise."""
    if isinstance(value, dict):
        return {name: _round(part) for name, part in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
