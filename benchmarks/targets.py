"""The servers that the benchmark compares: how to start them, and a check that their responses are equal."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.load import fetch, get
from benchmarks.options import HERE, MeasurementError
from benchmarks.servers import Command, Server

ENVIRONMENT = HERE / ".venv"
LOCK = HERE / "peers" / "requirements.lock"
PRODUCT, NAIVE, LIMIT = "product", "naive", "limit"
LITESTAR, DATASETTE, DRF = "Litestar", "Datasette", "DRF"
# Datasette does not implement the product's API. It shows its own table page, with the machine's name, without a count.
DATASETTE_PAGE = (
    "/{}/logs.json?_sort_desc=started_at&_size=50&_shape=objects&_label=machine_id&_json=attributes"
    "&_nocount=1&_nofacet=1"
)
# Fields that only the product reads: the tables of the others have no files.
ONLY_PRODUCT = {"attachments", "attachment_count"}
VERIFIED_PATHS = 20


@dataclass(frozen=True)
class Target:
    """A server to measure; `page` is its path of the newest logs, if that differs from the product's path."""

    name: str
    command: Command
    page: str | None = None


def on_sqlite(path: Path) -> list[Target]:
    """Return the product, the naive app and the limit, all on one file."""
    return [
        Target(PRODUCT, servers.product(f"sqlite:///{path}")),
        Target(NAIVE, naive(f"sqlite+aiosqlite:///{path}")),
        Target(
            LIMIT,
            servers.uvicorn("benchmarks.apps.limit:create", servers.python(), BENCH_FILE=str(path)),
        ),
    ]


def naive(url: str) -> Command:
    """Return the command for the naive app on a database."""
    return servers.uvicorn("benchmarks.apps.naive:create", servers.python(), BENCH_URL=url)


def peers(path: Path) -> list[Target]:
    """Return other frameworks on the same file, or nothing if their environment cannot be created."""
    if not _install_peers():
        return []
    python = servers.python(ENVIRONMENT)
    file = {"BENCH_FILE": str(path)}
    page = DATASETTE_PAGE.format(path.stem)
    datasette = servers.uvicorn("benchmarks.peers.with_datasette:serve", python, **file)
    # Gunicorn, as Django's documentation recommends: one process, with threads, which keep-alive requires.
    gunicorn = [python, "-m", "gunicorn", "benchmarks.peers.with_drf", "--bind", "127.0.0.1:{port}", "--threads", "4"]
    return [
        Target(LITESTAR, servers.uvicorn("benchmarks.peers.with_litestar:serve", python, **file)),
        Target(DATASETTE, replace(datasette, ready=page), page),
        Target(DRF, Command([*gunicorn, "--log-level", "warning"], file)),
    ]


def _install_peers() -> bool:
    """Create the environment of the other frameworks from its lock file, once; print a message if that fails."""
    stamp = ENVIRONMENT / "installed"
    if stamp.is_file() and stamp.read_text() == LOCK.read_text():
        return True
    python, lock = servers.python(ENVIRONMENT), str(LOCK)
    if shutil.which("uv"):
        steps = [
            ["uv", "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(ENVIRONMENT)],
            ["uv", "pip", "sync", "--quiet", "--python", python, "--require-hashes", lock],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", str(ENVIRONMENT)],
            [python, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", lock],
        ]
    for step in steps:
        if subprocess.run(step, check=False).returncode:
            sys.stderr.write("Could not create the environment of the other frameworks: skipping them.\n")
            return False
    stamp.write_text(LOCK.read_text())
    return True


def verify(running: Mapping[str, Server], paths: Sequence[str]) -> None:
    """Raise `MeasurementError` unless all servers return equal items for the first of these paths."""
    for path in paths[:VERIFIED_PATHS]:
        expected = None
        for name, server in running.items():
            items = items_of(json.loads(fetch(server, get(path))))
            if expected is None:
                expected = items
            elif items != expected:
                raise MeasurementError(
                    f"{name} and {next(iter(running))} respond differently to {path}: {_difference(items, expected)}"
                )


def items_of(body: Any) -> list[Any]:
    """Return the records of a response without the fields of ONLY_PRODUCT.

    Frameworks name the array of a list differently.
    """
    items = next((body[name] for name in ("items", "results") if name in body), [body])
    return [{name: value for name, value in item.items() if name not in ONLY_PRODUCT} for item in items]


def _difference(items: list[Any], expected: list[Any]) -> str:
    if len(items) != len(expected):
        return f"{len(items)} items against {len(expected)}"
    one, other = next((one, other) for one, other in zip(items, expected, strict=True) if one != other)
    return str({name: (one.get(name), other.get(name)) for name in {*one, *other} if one.get(name) != other.get(name)})
