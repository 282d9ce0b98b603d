"""Writing over HTTP: sixteen clients, each posting one log after the other to a copy of the file, every one durable."""

from contextlib import ExitStack
from typing import Any

from benchmarks import build, data, servers, targets
from benchmarks.load import WRITERS, drive, post, summary
from benchmarks.options import Options
from benchmarks.targets import NAIVE, PRODUCT, Target

SEED = 3
BODIES = 2_000


def measure(options: Options) -> dict[str, Any]:
    """The product against the naive twin: processor time, logs a second, latency."""
    path = build.sqlite_file(options, options.write_rows)
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(build.copied(path)) for _ in range(2))
        chosen = [
            Target(PRODUCT, servers.product(f"sqlite:///{ours}")),
            Target(NAIVE, targets.naive(f"sqlite+aiosqlite:///{theirs}")),
        ]
        running = {target.name: stack.enter_context(servers.running(target.command)) for target in chosen}
        return compare(options, running) | {"rows": options.write_rows}


def compare(options: Options, running: dict[str, servers.Server]) -> dict[str, Any]:
    """Both in turn, several rounds."""
    requests = [post("/logs", body) for body in bodies(BODIES)]
    seconds = max(options.seconds, 0.5)
    seen = {name: [] for name in running}
    for _ in range(options.rounds):
        for name, loads in seen.items():
            loads.append(drive(running[name], requests, WRITERS, seconds))
    return {name: summary(loads) for name, loads in seen.items()}


def bodies(count: int, seed: int = SEED) -> list[dict[str, Any]]:
    """Logs to post, of what has just happened; the server gives each its uuid."""
    return [{name: value for name, value in log.items() if name != "uuid"} for log in data.recent(count, seed)]
