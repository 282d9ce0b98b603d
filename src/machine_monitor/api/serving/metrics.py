"""Metrics for Prometheus; several workers keep them in files of one folder, so that whichever is asked tells the sum.

The library looks for PROMETHEUS_MULTIPROC_DIR when it is imported: `serve` names a folder there, then starts workers.
"""

import asyncio
import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from machine_monitor.database.connect import Database

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
PREFIX = "machine_monitor"
# Of a request that met no route, and the status of one whose client did not wait for it.
NO_OPERATION = "none"
CLIENT_GONE = 499
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BATCHES = (1, 2, 4, 8, 16, 32, 64)
REFRESH_SECONDS = 5.0

disable_created_metrics()
OURS = CollectorRegistry()
_request = ("operation", "method", "status")
REQUESTS = Counter(f"{PREFIX}_requests", "Requests that were answered.", _request, registry=OURS)
DURATION = Histogram(
    f"{PREFIX}_request_seconds",
    "From the head of a request to the end of its answer.",
    _request,
    buckets=SECONDS,
    registry=OURS,
)
IN_FLIGHT = Gauge(
    f"{PREFIX}_requests_in_flight", "Requests being answered.", registry=OURS, multiprocess_mode="livesum"
)
PROBLEMS = Counter(f"{PREFIX}_problems", "Problems that were answered.", ("code",), registry=OURS)
CUT = Counter(
    f"{PREFIX}_connections_cut",
    "Connections cut: head or body came too slowly, an answer was not taken, or there were too many (crowd).",
    ("reason",),
    registry=OURS,
)
BATCH = Histogram(
    f"{PREFIX}_write_batch_size", "Writes that shared a commit on SQLite.", buckets=BATCHES, registry=OURS
)
LOAD = Gauge(
    f"{PREFIX}_database_requests",
    "Reads, writes and exports under way, running or waiting for their turn.",
    ("kind", "state"),
    registry=OURS,
    multiprocess_mode="livesum",
)
BYTES = Gauge(
    f"{PREFIX}_database_bytes", "Size of the files of SQLite.", ("file",), registry=OURS, multiprocess_mode="livemax"
)
BUILD = Gauge(
    f"{PREFIX}_build_info",
    "What is running.",
    ("version", "python", "engine"),
    registry=OURS,
    multiprocess_mode="livemax",
)


def count(operation: str, method: str, status: int, seconds: float) -> None:
    """Count one request."""
    requests, duration = _of(operation, method, status)
    requests.inc()
    duration.observe(seconds)


def refresh(database: Database) -> None:
    """Say how the database of this process is doing."""
    BUILD.labels(version("machine-monitor"), platform.python_version(), database.engine.name).set(1)
    for kind, (running, waiting) in database.utilization().items():
        LOAD.labels(kind, "running").set(running)
        LOAD.labels(kind, "waiting").set(waiting)
    for file, size in database.file_bytes().items():
        BYTES.labels(file).set(size)


async def keep(database: Database) -> None:
    """Say it again every few seconds, for the worker that is asked does not see the others' databases."""
    while FOLDER in os.environ:
        refresh(database)
        await asyncio.sleep(REFRESH_SECONDS)


def render() -> bytes:
    """All metrics, of all workers, as Prometheus reads them."""
    if FOLDER not in os.environ:
        return generate_latest(OURS)
    folder = Path(os.environ[FOLDER])
    for name in folder.glob("gauge_live*.db"):
        _forget_if_dead(int(name.stem.rpartition("_")[2]))
    everybody = CollectorRegistry()
    MultiProcessCollector(everybody)
    return generate_latest(everybody)


@cache
def _of(operation: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """The children of these labels: finding them costs more than counting."""
    labels = (operation, method, str(status))
    return REQUESTS.labels(*labels), DURATION.labels(*labels)


def _forget_if_dead(process: int) -> None:
    """Drop what a worker that is gone had under way."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        mark_process_dead(process)
