"""An idle server: the time from its start to its first response, and its memory."""

import time
from statistics import median
from typing import Any

from benchmarks import build, servers
from benchmarks.options import Options

IDLE_SECONDS = 2.0


def measure(options: Options) -> dict[str, Any]:
    """Start `mm serve` once per round, in a quick run once. From the second time on, its files are in memory."""
    path = build.sqlite_file(options, options.rows)
    seconds, memory = [], []
    for _ in range(1 if options.is_quick_run else options.rounds):
        with servers.running(servers.product(f"sqlite:///{path}")) as server:
            seconds.append(server.seconds_to_answer)
            time.sleep(IDLE_SECONDS)
            memory.append(server.resident_mb())
    return {"seconds_to_answer": median(seconds), "resident_mb": median(memory)}
