"""A server that nobody asks: how long until it answers, and how much memory it holds then."""

import time
from statistics import median
from typing import Any

from benchmarks import build, servers
from benchmarks.options import Options

REST_SECONDS = 2.0


def measure(options: Options) -> dict[str, Any]:
    """`mm serve` on the file, started anew each round; its program is in the page cache but for the first."""
    path = build.sqlite_file(options, options.rows)
    seconds, memory = [], []
    for _ in range(1 if options.glance else options.rounds):
        with servers.running(servers.product(f"sqlite:///{path}")) as server:
            seconds.append(server.seconds_to_answer)
            time.sleep(REST_SECONDS)
            memory.append(server.resident_mb())
    return {"seconds_to_answer": median(seconds), "resident_mb": median(memory)}
