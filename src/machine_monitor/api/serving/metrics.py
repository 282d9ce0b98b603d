"""Metrics for Prometheus. Several workers share them through files in one folder, so that any worker reports the sum.

prometheus-client reads PROMETHEUS_MULTIPROC_DIR on import: `serve` sets it before it starts the workers.
"""

import asyncio
import os
import platform
from functools import cache
from importlib.metadata import version
from math import nan
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

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
PREFIX = "machine_monitor"
# The operation of a request without a route, and the status of a request whose client disconnected.
NO_OPERATION = "none"
CLIENT_GONE = 499
SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)
REFRESH_SECONDS = 5.0

disable_created_metrics()
REGISTRY = CollectorRegistry()
_request = ("operation", "method", "status")
REQUESTS = Counter(f"{PREFIX}_requests", "Requests handled.", _request, registry=REGISTRY)
DURATION = Histogram(
    f"{PREFIX}_request_seconds",
    "Seconds from the head of a request to the end of its response.",
    _request,
    buckets=SECONDS_BUCKETS,
    registry=REGISTRY,
)
IN_FLIGHT = Gauge(
    f"{PREFIX}_requests_in_flight", "Requests in progress.", registry=REGISTRY, multiprocess_mode="livesum"
)
PROBLEMS = Counter(f"{PREFIX}_problems", "Problem responses sent.", ("code",), registry=REGISTRY)
SIGN_INS = Counter(
    f"{PREFIX}_sign_ins",
    "Passwords that clients sent: right (success), wrong (failure), or not looked at after too many (limited).",
    ("result",),
    registry=REGISTRY,
)
ABORTED_CONNECTIONS = Counter(
    f"{PREFIX}_connections_cut",
    "Connections aborted: head or body too slow, response (answer) not read, or too many connections (crowd).",
    ("reason",),
    registry=REGISTRY,
)
UPLOADS = Counter(f"{PREFIX}_uploads", "Files that clients have added to records.", registry=REGISTRY)
UPLOADED_BYTES = Counter(f"{PREFIX}_uploaded_bytes", "Bytes of these files.", registry=REGISTRY)
WRITE_BATCH_SIZE = Histogram(
    f"{PREFIX}_write_batch_size", "Writes per commit on SQLite.", buckets=BATCH_BUCKETS, registry=REGISTRY
)
DATABASE_REQUESTS = Gauge(
    f"{PREFIX}_database_requests",
    "Reads, writes and exports, running or waiting.",
    ("kind", "state"),
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
STANDBY_READS = Counter(
    f"{PREFIX}_reads",
    "Reads that a standby may answer, by the server that has answered (standby, primary).",
    ("server",),
    registry=REGISTRY,
)
STANDBY_SECONDS_BEHIND = Gauge(
    f"{PREFIX}_standby_seconds_behind",
    "How far the standby was behind the primary at its last answer; NaN if it cannot be used.",
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
DATABASE_BYTES = Gauge(
    f"{PREFIX}_database_bytes", "Size of the SQLite files.", ("file",), registry=REGISTRY, multiprocess_mode="livemax"
)
BUILD_INFO = Gauge(
    f"{PREFIX}_build_info",
    "Version, Python and engine of the service.",
    ("version", "python", "engine"),
    registry=REGISTRY,
    multiprocess_mode="livemax",
)


def count(operation: str, method: str, status: int, seconds: float) -> None:
    """Record one request."""
    requests, duration = _children(operation, method, status)
    requests.inc()
    duration.observe(seconds)


def count_read(by_standby: bool) -> None:  # noqa: FBT001 -- a callback of `Database`
    """Record a read that a standby may answer."""
    STANDBY_READS.labels("standby" if by_standby else "primary").inc()


def refresh(database: Database) -> None:
    """Update the gauges of this process's database."""
    BUILD_INFO.labels(version("machine-monitor"), platform.python_version(), database.engine.name).set(1)
    for kind, (running, waiting) in database.utilization().items():
        DATABASE_REQUESTS.labels(kind, "running").set(running)
        DATABASE_REQUESTS.labels(kind, "waiting").set(waiting)
    if database.has_standby:
        seconds = database.standby_seconds_behind
        STANDBY_SECONDS_BEHIND.set(nan if seconds is None else seconds)
    for file, size in database.file_bytes().items():
        DATABASE_BYTES.labels(file).set(size)


async def refresh_periodically(database: Database) -> None:
    """Update the gauges every few seconds: a worker that reports metrics cannot see the other workers' databases."""
    while FOLDER_VARIABLE in os.environ:
        refresh(database)
        await asyncio.sleep(REFRESH_SECONDS)


def render() -> bytes:
    """Return the metrics of all workers in Prometheus' text format."""
    if FOLDER_VARIABLE not in os.environ:
        return generate_latest(REGISTRY)
    folder = Path(os.environ[FOLDER_VARIABLE])
    for name in folder.glob("gauge_live*.db"):
        _forget_if_dead(int(name.stem.rpartition("_")[2]))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)


@cache
def _children(operation: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """Return the metric children of these labels. Cached: finding them costs more than counting."""
    labels = (operation, method, str(status))
    return REQUESTS.labels(*labels), DURATION.labels(*labels)


def _forget_if_dead(process: int) -> None:
    """Remove the gauges of a worker process that has ended."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        mark_process_dead(process)
