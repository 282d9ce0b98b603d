"""Writing over HTTP: sixteen clients, each posting one log after the other to a copy of the file, every one durable."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count, cycle
from typing import Any

from benchmarks import build, data, servers, targets
from benchmarks.load import WRITERS, drive, post, summary
from benchmarks.options import Options
from benchmarks.targets import NAIVE, PRODUCT, Target

SEED = 3
BODIES = 2_000
# The product once more, with a new key for each request.
KEYED = "with a key"
_numbers = count()


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
    posted = bodies(BODIES)
    requests = [post("/logs", body) for body in posted]
    seconds = max(options.seconds, 0.5)
    seen = {name: [] for name in (*running, KEYED)}
    for _ in range(options.rounds):
        for name, server in running.items():
            seen[name].append(drive(server, requests, WRITERS, seconds))
        seen[KEYED].append(drive(running[PRODUCT], _keyed(posted), WRITERS, seconds))
    return {name: summary(loads) for name, loads in seen.items()}


def _keyed(posted: list[dict[str, Any]]) -> Iterator[bytes]:
    """These again and again, each time with a key that was never sent."""
    return (post("/logs", body, f"bench-{next(_numbers)}") for body in cycle(posted))


def bodies(count: int, seed: int = SEED) -> list[dict[str, Any]]:
    """Logs to post, of what has just happened; the server gives each its uuid."""
    return [{name: value for name, value in log.items() if name != "uuid"} for log in data.recent(count, seed)]
