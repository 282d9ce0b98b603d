"""Hundreds of deliberately slow clients (slowloris) do not slow other clients down."""

import asyncio
import contextlib
import itertools
import resource
import threading
import time
from pathlib import Path

import pytest

from reliability.clients.http_client import HttpClient
from reliability.clients.traffic import SUCCESS, Traffic, add_machine, percentile, stored_uuids
from servers import ForkedService

SLOW_CLIENTS = 400
MAX_OPEN_FILES = 1024
GET = b"GET /logs HTTP/1.1\r\nHost: x\r\nX-Slow: "
POST = b"POST /machines HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
# The first bytes of each client, followed by one byte per second. The last client does not read the
# response to its complete request.
OPENINGS = (b"", GET, POST, b"GET /logs.ndjson HTTP/1.1\r\nHost: x\r\n\r\n")


class Attack:
    """Opens `count` slow connections, and opens each again when the server disconnects it."""

    def __init__(self, port, count):
        self.port, self.count, self.cut = port, count, 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self):
        openings = itertools.islice(itertools.cycle(OPENINGS), self.count)
        tasks = [self._loop.create_task(self._one(opening)) for opening in openings]
        self._loop.run_forever()
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    async def _one(self, opening):
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1)
                try:
                    writer.write(opening)
                    # With `limit=1`, asyncio stops reading; the operating system buffers the start of the response.
                    while not reader.at_eof():
                        await asyncio.sleep(1)
                        writer.write(b"x")
                        await writer.drain()
                finally:
                    writer.transport.abort()
            self.cut += 1
            await asyncio.sleep(0.2)


def nearly_all_have(status, counts, tolerated):
    """Return whether all requests got this status, except a tolerated share without a response."""
    return set(counts) <= {status, None} and counts[None] <= tolerated * counts.total()


@pytest.mark.timed
@pytest.mark.parametrize(
    "count",
    [
        pytest.param(
            SLOW_CLIENTS, marks=pytest.mark.proof(f"{SLOW_CLIENTS} slow connections, {MAX_OPEN_FILES:,} files")
        ),
        pytest.param(
            2 * MAX_OPEN_FILES,
            marks=pytest.mark.proof(f"{2 * MAX_OPEN_FILES:,} slow connections, {MAX_OPEN_FILES:,} files"),
        ),
    ],
)
def test_slow_clients_do_not_delay_other_clients(tmp_path, sqlite_database_url, extent, record_counts, count):
    settings = {"database_url": sqlite_database_url, "head_timeout": 2, "body_timeout": 2}
    with ForkedService(tmp_path, **settings) as service:
        resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))
        add_machine(service.port)
        most_open_files = 0
        with Traffic(service.port, writers=4, comment="as it was " * 1_000) as filling:
            filling.wait_for(300, *SUCCESS)
        began = time.monotonic()
        with Attack(service.port, count) as attack, Traffic(service.port, writers=1, readers=2) as traffic:
            while time.monotonic() - began < extent(short=5, long=30):
                time.sleep(0.1)
                most_open_files = max(most_open_files, len(list(Path(f"/proc/{service.process.pid}/fd").iterdir())))
        # With more connections than files, the service closes idle keep-alive connections; their clients reconnect.
        tolerated = 0.05 if count > MAX_OPEN_FILES else 0
        assert nearly_all_have(200, traffic.read_statuses, tolerated)
        assert nearly_all_have(201, traffic.write_statuses, tolerated)
        assert percentile(traffic.read_seconds, 0.95) < extent(short=5, long=0.5)
        assert attack.cut > count / 4
        assert min(count, MAX_OPEN_FILES) * 0.5 < most_open_files < MAX_OPEN_FILES
        assert stored_uuids(service.port) >= traffic.acknowledged
        with HttpClient(service.port) as http:
            metrics = http.send("GET", "/metrics").body
    assert b'connections_cut_total{reason="head"}' in metrics
    assert (b'connections_cut_total{reason="crowd"}' in metrics) == (count > MAX_OPEN_FILES)
    p95 = percentile(traffic.read_seconds, 0.95) * 1000
    retries = traffic.read_statuses[None] + traffic.write_statuses[None]
    record_counts(
        len(traffic.read_seconds), p95_of_other_clients=f"{p95:.0f} ms", retries=retries, connections_cut=attack.cut
    )
