"""A primary that dies under Patroni: no acknowledged write is lost, and nothing has to be restarted."""

import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from machine_monitor.client import START, Client, Problem, Unavailable
from outside.patroni_cluster import PROGRAMS, SERVER_PROGRAMS, Cluster, wait_for
from reliability.clients.traffic import SUCCESS, Traffic, add_machine, stored_uuids
from servers import ForkedService
from services.backup.full_database import verify_database

pytestmark = [
    pytest.mark.outside,
    pytest.mark.skipif(
        None in (*PROGRAMS.values(), SERVER_PROGRAMS),
        reason="needs Patroni: apt-get install postgresql patroni etcd-server haproxy",
    ),
]


@pytest.fixture
def cluster():
    # The path of a Unix socket has at most 107 characters; pytest's temporary folders are longer, and closed to others.
    with tempfile.TemporaryDirectory(prefix="mm-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        running = Cluster(Path(folder))
        try:
            yield running
        finally:
            running.stop()


class Follower(threading.Thread):
    """Follows the changes through one service; `numbers` are those that it has seen, in order."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.numbers: list[int] = []
        self._client = Client(f"http://127.0.0.1:{port}", patience=0)
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join()
        self._client.close()

    def run(self) -> None:
        position = START
        while not self._stopped.wait(0.2):
            with suppress(Problem, Unavailable):
                for batch in self._client.follow(position, interval=None):
                    self.numbers += [change["seq"] for change in batch.changes]
                    position = batch.position


@pytest.mark.proof("kill -9 of PostgreSQL's primary under Patroni, with 2 x 3 writers")
def test_no_acknowledged_write_is_lost_when_the_primary_dies(cluster, tmp_path, extent, record_counts):
    kills = extent(short=1, long=10)
    with (
        ForkedService(tmp_path, database_url=cluster.url) as direct,
        ForkedService(tmp_path, database_url=cluster.proxy_url) as proxied,
        Follower(direct.port) as first_follower,
        Follower(proxied.port) as second_follower,
    ):
        add_machine(direct.port)
        with Traffic(direct.port, writers=3, readers=1) as one, Traffic(proxied.port, writers=3, readers=1) as other:
            for _ in range(kills):
                wait_for(cluster.is_complete, "the return of the standby")
                for traffic in (one, other):
                    traffic.wait_for(10, *SUCCESS)
                before = cluster.primary
                before.kill_server()
                for traffic in (one, other):
                    traffic.wait_for(10, *SUCCESS, seconds=120)
                assert cluster.primary is not before
        statuses = one.write_statuses + other.write_statuses
        acknowledged = one.acknowledged | other.acknowledged
        assert set(statuses) <= {200, 201, 503, None}
        assert acknowledged <= stored_uuids(direct.port)
        assert verify_database(cluster.url).faults == []
        with Client(f"http://127.0.0.1:{direct.port}") as client:
            newest = int(client.newest_position().partition("-")[0])
        for follower in (first_follower, second_follower):
            wait_for(lambda follower=follower: len(follower.numbers) >= newest, "the last change")
            assert follower.numbers == [*range(1, newest + 1)]
    record_counts(kills, acknowledged=len(acknowledged), lost=0, status_503=statuses[503])
