"""Who is measured: how each is started, what each can be asked, and the check that all answer alike."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.load import ask, get
from benchmarks.options import HERE, Refused
from benchmarks.servers import Command, Server

ENVIRONMENT = HERE / ".venv"
LOCK = HERE / "peers" / "requirements.lock"
PRODUCT, NAIVE, LIMIT = "product", "naive", "limit"
LITESTAR, DATASETTE, DRF = "Litestar", "Datasette", "DRF"
# Datasette reads rows, not this contract: it looks the machine's name up, counts nothing, and answers its own items.
DATASETTE_PAGE = (
    "/{}/logs.json?_sort_desc=started_at&_size=50&_shape=objects&_label=machine_id&_json=attributes"
    "&_nocount=1&_nofacet=1"
)
CHECKED = 20


@dataclass(frozen=True)
class Target:
    """One server to measure; `page` is its own path of the newest logs if it is not the contract's."""

    name: str
    command: Command
    page: str | None = None


def on_sqlite(path: Path) -> list[Target]:
    """The product, the naive twin and the limit on one file."""
    return [
        Target(PRODUCT, servers.product(f"sqlite:///{path}")),
        Target(NAIVE, naive(f"sqlite+aiosqlite:///{path}")),
        Target(LIMIT, servers.uvicorn("benchmarks.apps.limit:serve", servers.python(), BENCH_FILE=str(path))),
    ]


def naive(url: str) -> Command:
    """The naive twin on a database."""
    return servers.uvicorn("benchmarks.apps.naive:serve", servers.python(), BENCH_URL=url)


def peers(path: Path) -> list[Target]:
    """Other programs on the same file; none if their environment cannot be made."""
    if not _installed():
        return []
    python = servers.python(ENVIRONMENT)
    file = {"BENCH_FILE": str(path)}
    page = DATASETTE_PAGE.format(path.stem)
    datasette = servers.uvicorn("benchmarks.peers.with_datasette:serve", python, **file)
    # As Django's documents have it: gunicorn; one process, with threads so that connections are kept.
    gunicorn = [python, "-m", "gunicorn", "benchmarks.peers.with_drf", "--bind", "127.0.0.1:{port}", "--threads", "4"]
    return [
        Target(LITESTAR, servers.uvicorn("benchmarks.peers.with_litestar:serve", python, **file)),
        Target(DATASETTE, replace(datasette, ready=page), page),
        Target(DRF, Command([*gunicorn, "--log-level", "warning"], file)),
    ]


def _installed() -> bool:
    """Make the peers' environment from its lock, once; say so where that fails."""
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
            sys.stderr.write("The peers' environment could not be made: they are left out.\n")
            return False
    stamp.write_text(LOCK.read_text())
    return True


def verify(running: Mapping[str, Server], paths: Sequence[str]) -> None:
    """Raise `Refused` unless all answer the same items, all fields of the contract, to the first of these requests."""
    for path in paths[:CHECKED]:
        wanted = None
        for name, server in running.items():
            items = _items(json.loads(ask(server, get(path))))
            if wanted is None:
                wanted = items
            elif items != wanted:
                raise Refused(
                    f"{name} and {next(iter(running))} answer {path} differently: {_difference(items, wanted)}"
                )


def _items(body: Any) -> list[Any]:
    """The records of an answer: a list's under the name that its framework gives them."""
    return next((body[name] for name in ("items", "results") if name in body), [body])


def _difference(items: list[Any], wanted: list[Any]) -> str:
    if len(items) != len(wanted):
        return f"{len(items)} items against {len(wanted)}"
    one, other = next((one, other) for one, other in zip(items, wanted, strict=True) if one != other)
    return str({name: (one.get(name), other.get(name)) for name in {*one, *other} if one.get(name) != other.get(name)})
