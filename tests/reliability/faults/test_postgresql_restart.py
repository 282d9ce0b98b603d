"""A crash and restart of PostgreSQL: the service responds with 503 meanwhile, and recovers by itself."""

import os
import signal
import time

import psutil
import pytest

import postgresql_server
from reliability.clients.http_client import HttpClient
from reliability.clients.traffic import SUCCESS, Traffic, add_machine, stored_uuids
from servers import ForkedService

# A write makes up to three attempts, and on each waits up to five seconds for a connection.
RECOVERY_SECONDS = 15


@pytest.fixture(scope="module")
def postgresql():
    with postgresql_server.running_server() as opened:
        yield opened


def crash(server, signal_number):
    """Make the server crash by a signal, and wait until all of its processes have ended."""
    postmaster = psutil.Process(server.get_pid())
    processes = [postmaster, *postmaster.children()]
    os.kill(postmaster.pid, signal_number)
    psutil.wait_procs(processes, timeout=10)


@pytest.mark.proof("PostgreSQL stopped at once, or killed, and restarted")
@pytest.mark.parametrize("signal_number", [signal.SIGQUIT, signal.SIGKILL], ids=["immediate", "kill"])
def test_the_service_reconnects_after_a_crash_of_postgresql(tmp_path, postgresql, extent, record_counts, signal_number):
    url, server, restarts = *postgresql, extent(short=1, long=10)
    with ForkedService(tmp_path, database_url=url) as service, HttpClient(service.port) as http:
        add_machine(service.port)
        with Traffic(service.port, writers=8, readers=4) as traffic:
            for _ in range(restarts):
                traffic.wait_for(20, *SUCCESS)
                crash(server, signal_number)
                time.sleep(extent(short=2, long=4))
                assert http.send("GET", "/healthz").status == 200
                refused = http.send("GET", "/readyz")
                assert (refused.status, refused.json["code"]) == (503, "database-busy")
                server.ensure_postgres_running()
                traffic.wait_for(20, *SUCCESS, seconds=RECOVERY_SECONDS)
        # 200: an earlier attempt was committed, but its response was lost.
        assert {201, 503} <= set(traffic.write_statuses) <= {200, 201, 503}
        assert set(traffic.read_statuses) == {200, 503}
        assert traffic.slowest_write_seconds < RECOVERY_SECONDS
        assert traffic.acknowledged <= stored_uuids(service.port)
    record_counts(
        restarts,
        acknowledged=len(traffic.acknowledged),
        lost=0,
        status_503=traffic.write_statuses[503] + traffic.read_statuses[503],
    )
