"""Durable writes over HTTP: sixteen clients, each posting one log after another to a copy of the file."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count, cycle
from typing import Any

from benchmarks import build, data, servers, targets
from benchmarks.load import WRITERS, generate_load, post, summarize
from benchmarks.options import Options
from benchmarks.targets import NAIVE, PRODUCT, Target

SEED = 3
BODIES = 2_000
# The product again, with a new idempotency key for each request.
KEYED = "with a key"
_numbers = count()


def measure(options: Options) -> dict[str, Any]:
    """Compare the product with the naive app: processor time, logs per second, latency."""
    path = build.sqlite_file(options, options.write_rows)
    with ExitStack() as stack:
        product_file, naive_file = (stack.enter_context(build.temporary_copy(path)) for _ in range(2))
        chosen = [
            Target(PRODUCT, servers.product(f"sqlite:///{product_file}")),
            Target(NAIVE, targets.naive(f"sqlite+aiosqlite:///{naive_file}")),
        ]
        running = {target.name: stack.enter_context(servers.running(target.command)) for target in chosen}
        return compare(options, running) | {"rows": options.write_rows}


def compare(options: Options, running: dict[str, servers.Server]) -> dict[str, Any]:
    """Measure both servers in turn, for several rounds."""
    posted = bodies(BODIES)
    requests = [post("/logs", body) for body in posted]
    seconds = max(options.seconds, 0.5)
    loads = {name: [] for name in (*running, KEYED)}
    for _ in range(options.rounds):
        for name, server in running.items():
            loads[name].append(generate_load(server, requests, WRITERS, seconds))
        loads[KEYED].append(generate_load(running[PRODUCT], _posts_with_keys(posted), WRITERS, seconds))
    return {name: summarize(rounds) for name, rounds in loads.items()}


def _posts_with_keys(posted: list[dict[str, Any]]) -> Iterator[bytes]:
    """Repeat these requests, each time with a new idempotency key."""
    return (post("/logs", body, f"bench-{next(_numbers)}") for body in cycle(posted))


def bodies(count: int, seed: int = SEED) -> list[dict[str, Any]]:
    """Return bodies for POST: recent logs without a uuid, which the server assigns."""
    return [{name: value for name, value in log.items() if name != "uuid"} for log in data.recent(count, seed)]
