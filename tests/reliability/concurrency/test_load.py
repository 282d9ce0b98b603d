"""A mixed load of twenty readers and four writers, for minutes: no errors, no growth of memory or log."""

import random
import threading
import time
from collections import Counter

import psutil
import pytest

from machine_monitor.database.engines.sqlite import connections
from reliability.clients.http_client import HttpClient
from reliability.clients.traffic import percentile
from reliability.clients.workload import Workload, running_threads

READERS, WRITERS = 20, 4
MIB = 1024 * 1024
QUERIES = (
    *("/logs?limit=50", "/logs?q=wrote&limit=20", "/logs?type=info&sort=-severity&count=capped", "/logs?q=writer+1*"),
    *("/logs/facets?by=type,machine", "/logs/stats?group_by=type,day&metrics=count,failures", "/changes?limit=100"),
    *("/machines?expand=activity", "/logs.ndjson?machine=Machine+7&fields=uuid", "/logs?offset=500&expand=machine"),
    *("/users", "/log-types", "/readyz"),
)
GROWTH = 48 * MIB
# SQLite restarts its write-ahead log at this size if no reader uses it; allow twice as much for readers.
LARGEST_WAL = 2 * connections.WAL_AUTOCHECKPOINT_PAGES * 4096


class Reader(threading.Thread):
    """Sends one random query after another."""

    def __init__(self, port, stopped):
        super().__init__()
        self.statuses, self.seconds = Counter(), []
        self._port, self._stopped = port, stopped

    def run(self):
        with HttpClient(self._port) as http:
            while not self._stopped.is_set():
                began = time.monotonic()
                response = http.try_send("GET", random.choice(QUERIES))
                self.statuses[response.status if response else 0] += 1
                self.seconds.append(time.monotonic() - began)


@pytest.mark.proof(f"mixed load: {READERS} readers, {WRITERS} writers of every kind")
def test_a_mixed_load_causes_no_errors_and_no_growth(tmp_path, database_url, extent, record_counts):
    workload, stopped, seconds = Workload(tmp_path, database_url), threading.Event(), extent(short=6, long=300)
    with workload.serve() as service:
        workload.create_machines(service.port)
        process, wal, memory = psutil.Process(service.process.pid), workload.wal_path(), []
        readers = [Reader(service.port, stopped) for _ in range(READERS)]
        writers = workload.writers[:WRITERS]
        writing = [threading.Thread(target=writer.write_until, args=(service.port, stopped)) for writer in writers]
        end, largest = time.monotonic() + seconds, 0
        with running_threads([*readers, *writing], stopped):
            while time.monotonic() < end:
                time.sleep(0.25)
                memory.append(process.memory_info().rss)
                largest = max(largest, wal.stat().st_size if wal.exists() else 0)
        workload.finish_and_check(service.port)
    statuses = sum((reader.statuses for reader in readers), Counter())
    assert set(statuses) == {200}
    assert [writer.statuses for writer in writers if max(writer.statuses) >= 500 or 0 in writer.statuses] == []
    begun, ended = max(memory[: len(memory) * 2 // 3]), max(memory)
    assert ended - begun < GROWTH
    assert largest < LARGEST_WAL
    p95 = percentile([second for reader in readers for second in reader.seconds], 0.95) * 1000
    results = {"p95": f"{p95:.0f} ms", "memory": f"{begun / MIB:.0f} to {ended / MIB:.0f} MiB"}
    results |= {"largest_WAL": f"{largest / MIB:.0f} MiB"} if largest else {}
    record_counts(
        seconds, reads=statuses.total(), writes=sum(writer.acknowledged for writer in writers), status_5xx=0, **results
    )
