"""All logs as NDJSON over HTTP: rows a second, and what the server's memory grows by."""

import http.client
import time
from typing import Any

from benchmarks import build, servers
from benchmarks.data import TOKEN
from benchmarks.load import ask, get, require
from benchmarks.options import Missing, Options, Refused

PATH = "/logs.ndjson"
CHUNK = 1 << 18


def measure(options: Options) -> dict[str, Any]:
    """One export of the whole file by one client that keeps up."""
    path = build.sqlite_file(options, options.rows)
    with servers.running(servers.product(f"sqlite:///{path}")) as server:
        try:
            require(server, PATH)
        except Missing as missing:
            return {"missing": str(missing)}
        ask(server, get("/logs?limit=500"))
        server.forget_highest()
        before, cpu, start = server.resident_mb(), server.cpu_seconds(), time.perf_counter()
        lines, size = _read(server.port)
        seconds = time.perf_counter() - start
        if lines != options.rows:
            raise Refused(f"{PATH} has {lines} lines, and there are {options.rows} logs.")
        return {
            "rows": lines,
            "bytes": size,
            "per_second": lines / seconds,
            "cpu_us": (server.cpu_seconds() - cpu) / lines * 1e6,
            "before_mb": before,
            "grown_mb": server.highest_mb() - before,
        }


def _read(port: int) -> tuple[int, int]:
    """How many lines and bytes there are."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", PATH, headers={"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise Refused(f"GET {PATH}: {answer.status}")
    lines = size = 0
    while part := answer.read(CHUNK):
        lines += part.count(b"\n")
        size += len(part)
    connection.close()
    return lines, size
