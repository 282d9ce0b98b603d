"""Reliability over HTTP with one client, after the sums by machine and month were made."""

import asyncio
import time
from pathlib import Path
from typing import Any

from benchmarks import build, servers
from benchmarks.load import generate_load, get, summarize
from benchmarks.options import Options
from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.services.projections.reliability import summing

ALL_TIME = "from=2005-01-01&to=2024-12-31"
KINDS = {
    "month": "/reliability?from=2024-11-01&to=2024-11-30",
    "quarter": "/reliability?from=2024-09-17&to=2024-12-15",
    "all_time": f"/reliability?{ALL_TIME}",
    "machines": f"/reliability?{ALL_TIME}&group_by=machine",
}


def measure(options: Options) -> dict[str, Any]:
    """Measure processor time and latency for each window, and the seconds that all sums took."""
    path = build.sqlite_file(options, options.rows)
    start = time.perf_counter()
    asyncio.run(_sum_up(path))
    found: dict[str, Any] = {"seconds_to_sum_up": time.perf_counter() - start, "rows": options.rows}
    with servers.running(servers.product(f"sqlite:///{path}")) as server:
        for kind, address in KINDS.items():
            loads = [generate_load(server, [get(address)], 1, options.seconds) for _ in range(options.rounds)]
            found[kind] = summarize(loads)
    return found


async def _sum_up(path: Path) -> None:
    """Make the sums that are not there, as the service does in the background."""
    database = Database(f"sqlite:///{path}")
    await database.open()
    while await summing.sum_batch(database, instants.now()):
        pass
    await database.close()
