"""Imports of many logs into a copy of the file: the bulk endpoint, and `mm sync` of a legacy folder."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import build, data, servers
from benchmarks.load import fetch, post, require_path
from benchmarks.options import MeasurementError, NotImplementedYet, Options

SEED = 4
ITEMS = 1_000
LOGS = {True: 2_000, False: 30_000}


def measure(options: Options) -> dict[str, Any]:
    """Measure rows per second, and the server's processor time per row."""
    path = build.sqlite_file(options, options.write_rows)
    count = LOGS[options.is_quick_run]
    return {
        "rows": options.write_rows,
        "bulk": bulk(path, list(data.recent(count, SEED))),
        "bulk_old": bulk(path, list(data.logs(count, SEED))),
        "sync": sync(path, count),
    }


def bulk(path: Path, logs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Send one POST /logs/bulk after another, with a thousand items each."""
    count = len(logs)
    with build.temporary_copy(path) as copy, servers.running(servers.product(f"sqlite:///{copy}")) as server:
        calls = [post("/logs/bulk", {"mode": "atomic", "items": logs[i : i + ITEMS]}) for i in range(0, count, ITEMS)]
        try:
            require_path(server, "/logs/bulk")
        except NotImplementedYet as missing:
            return {"missing": str(missing)}
        cpu, start = server.cpu_seconds(), time.perf_counter()
        for call in calls:
            fetch(server, call)
        return _speed(count, time.perf_counter() - start, server.cpu_seconds() - cpu)


def sync(path: Path, count: int) -> dict[str, Any]:
    """Run `mm sync` on a legacy folder and measure the whole command."""
    with build.temporary_copy(path) as copy, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        _write_legacy(Path(folder), count)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MM_")}
        command = [str(Path(sys.executable).parent / "mm"), "sync", folder, "--timezone", "UTC", "--json"]
        environment = {**inherited, "MM_DATABASE_URL": f"sqlite:///{copy}"}
        before, start = os.times(), time.perf_counter()
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        seconds, after = time.perf_counter() - start, os.times()
        if done.returncode or json.loads(done.stdout)["logs"]["created"] != count:
            raise MeasurementError(f"sync: {done.returncode} {done.stdout[:500]} {done.stderr[-500:]}")
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return _speed(count, seconds, cpu)


def _speed(count: int, seconds: float, cpu_seconds: float) -> dict[str, Any]:
    return {"count": count, "per_second": count / seconds, "cpu_us": cpu_seconds / count * 1e6}


def _write_legacy(folder: Path, count: int) -> None:
    """Write the logs as files of the legacy tool, one file per log."""
    (folder / "logs").mkdir()
    for log in data.logs(count, SEED):
        record = {
            "machineName": log["machine"],
            "type": log["type"],
            "comment": log["comment"],
            "project": log["project"] or "",
            "timeStamp": datetime.fromisoformat(log["started_at"]).strftime("%Y_%m_%d__%H_%M_%S"),
            "userName": log["user"] or "",
            "cause": log["cause"] or "",
        }
        (folder / "logs" / f"{log['uuid']}.json").write_text(json.dumps(record), encoding="utf-8")
