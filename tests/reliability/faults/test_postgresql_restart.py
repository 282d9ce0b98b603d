"""A crash and restart of PostgreSQL: the service responds with 503 meanwhile, and recovers by itself."""

import os
import signal
import time

import psutil
import pytest

import postgresql_server
from reliability.clients.http_client import HttpClient
from reliability.clients.traffic import DONE, Traffic, add_machine, stored
from servers import ForkedService

# A write waits up to five seconds for a connection, on each of its attempts.
RECOVERY_TIMEOUT_SECONDS = 15


@pytest.fixture(scope="module")
def postgresql():
    with postgresql_server.running_server() as opened:
        yield opened


def stop(server, how):
    """Stop the server like a crash, and wait until all of its processes have ended."""
    postmaster = psutil.Process(server.get_pid())
    processes = [postmaster, *postmaster.children()]
    os.kill(postmaster.pid, how)
    psutil.wait_procs(processes, timeout=10)


@pytest.mark.proof("PostgreSQL stopped at once, or killed, and restarted")
@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL], ids=["immediate", "kill"])
def test_the_service_reconnects_to_a_restarted_server(tmp_path, postgresql, extent, record_counts, how):
    url, server, restarts = *postgresql, extent(short=1, long=10)
    with ForkedService(tmp_path, database_url=url) as service, HttpClient(service.port) as http:
        add_machine(service.port)
        with Traffic(service.port, writers=8, readers=4) as traffic:
            for _ in range(restarts):
                traffic.wait_for(20, *DONE)
                stop(server, how)
                time.sleep(extent(short=2, long=4))
                assert http.send("GET", "/healthz").status == 200
                refused = http.send("GET", "/readyz")
                assert (refused.status, refused.json["code"]) == (503, "database-busy")
                server.ensure_postgres_running()
                traffic.wait_for(20, *DONE, seconds=RECOVERY_TIMEOUT_SECONDS)
        # 200: an earlier attempt was committed, but its response was lost.
        assert {201, 503} <= set(traffic.written) <= {200, 201, 503}
        assert set(traffic.read) == {200, 503}
        assert traffic.slowest < RECOVERY_TIMEOUT_SECONDS
        assert traffic.acknowledged <= stored(service.port)
    record_counts(
        restarts, acknowledged=len(traffic.acknowledged), lost=0, status_503=traffic.written[503] + traffic.read[503]
    )
