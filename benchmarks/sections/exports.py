"""An export of all logs as NDJSON over HTTP: rows per second, and the growth of the server's memory."""

import http.client
import time
from typing import Any

from benchmarks import build, servers
from benchmarks.data import TOKEN
from benchmarks.load import fetch, get, require_path
from benchmarks.options import MeasurementError, NotImplementedYet, Options

PATH = "/logs.ndjson"
CHUNK = 1 << 18


def measure(options: Options) -> dict[str, Any]:
    """Measure one export of all logs by a client that reads fast enough."""
    path = build.sqlite_file(options, options.rows)
    with servers.running(servers.product(f"sqlite:///{path}")) as server:
        try:
            require_path(server, PATH)
        except NotImplementedYet as missing:
            return {"missing": str(missing)}
        # The first request imports code and opens connections, which is not part of the export.
        fetch(server, get("/logs?limit=500"))
        server.reset_peak()
        before, cpu, start = server.resident_mb(), server.cpu_seconds(), time.perf_counter()
        lines, size = _read(server.port)
        seconds = time.perf_counter() - start
        if lines != options.rows:
            raise MeasurementError(f"{PATH} has {lines} lines, but there are {options.rows} logs.")
        return {
            "rows": lines,
            "bytes": size,
            "per_second": lines / seconds,
            "cpu_us": (server.cpu_seconds() - cpu) / lines * 1e6,
            "before_mb": before,
            "grown_mb": server.peak_mb() - before,
        }


def _read(port: int) -> tuple[int, int]:
    """Read the export; return the number of lines and bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", PATH, headers={"Authorization": f"Bearer {TOKEN}"})
    response = connection.getresponse()
    if response.status != 200:
        raise MeasurementError(f"GET {PATH}: {response.status}")
    lines = size = 0
    while part := response.read(CHUNK):
        lines += part.count(b"\n")
        size += len(part)
    connection.close()
    return lines, size
