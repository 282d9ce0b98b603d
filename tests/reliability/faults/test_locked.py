"""While another process locks the SQLite file, writers wait or get 503, and no write is lost."""

import sqlite3
import time
from contextlib import closing

import pytest

from machine_monitor.database.engines.sqlite import connections
from reliability.clients.traffic import SUCCESS, Traffic, add_machine, percentile, stored_uuids
from servers import ForkedService

WRITERS = 32
# Longer than a writer waits for the lock, so that some get 503.
LOCK_SECONDS = connections.BUSY_SECONDS + 3


@pytest.mark.proof(f"SQLite locked by another process for {LOCK_SECONDS:.0f} s under {WRITERS} writers")
def test_no_write_is_lost_while_another_process_locks_the_file(tmp_path, sqlite_database_url, extent, record_counts):
    path, rounds = sqlite_database_url.removeprefix("sqlite:///"), extent(short=1, long=10)
    with ForkedService(tmp_path, database_url=sqlite_database_url) as service, closing(sqlite3.connect(path)) as other:
        other.isolation_level = None
        add_machine(service.port)
        with Traffic(service.port, writers=WRITERS, readers=2) as traffic:
            for _ in range(rounds):
                traffic.wait_for(WRITERS, *SUCCESS)
                other.execute("BEGIN IMMEDIATE")
                # Responses of writes that were committed before the lock may still arrive.
                time.sleep(0.3)
                before = len(traffic.acknowledged)
                time.sleep(LOCK_SECONDS - 0.3)
                assert len(traffic.acknowledged) == before
                other.execute("ROLLBACK")
                traffic.wait_for(WRITERS, *SUCCESS)
        assert set(traffic.write_statuses) == {201, 503}
        assert set(traffic.read_statuses) == {200}
        assert percentile(traffic.read_seconds, 0.95) < extent(short=LOCK_SECONDS / 2, long=1)
        assert traffic.acknowledged <= stored_uuids(service.port)
    record_counts(rounds, acknowledged=len(traffic.acknowledged), lost=0, status_503=traffic.write_statuses[503])
