"""While another process locks the SQLite file, writers wait or get 503, and no write is lost."""

import sqlite3
import time
from contextlib import closing

import pytest

from machine_monitor.database.engines.sqlite import driver
from reliability.clients.traffic import DONE, Traffic, add_machine, percentile, stored
from servers import ForkedService

WRITERS = 32
# Longer than a writer waits, so that some get 503.
SECONDS = driver.BUSY_SECONDS + 3


@pytest.mark.proof(f"SQLite locked by another process for {SECONDS:.0f} s under {WRITERS} writers")
def test_a_lock_of_another_process_loses_no_write(tmp_path, sqlite_database_url, extent, record_counts):
    path, rounds = sqlite_database_url.removeprefix("sqlite:///"), extent(short=1, long=10)
    with ForkedService(tmp_path, database_url=sqlite_database_url) as service, closing(sqlite3.connect(path)) as other:
        other.isolation_level = None
        add_machine(service.port)
        with Traffic(service.port, writers=WRITERS, readers=2) as traffic:
            for _ in range(rounds):
                traffic.wait_for(WRITERS, *DONE)
                other.execute("BEGIN IMMEDIATE")
                time.sleep(0.3)
                locked = len(traffic.acknowledged)
                time.sleep(SECONDS - 0.3)
                assert len(traffic.acknowledged) == locked
                other.execute("ROLLBACK")
                traffic.wait_for(WRITERS, *DONE)
        assert set(traffic.written) == {201, 503}
        assert set(traffic.read) == {200}
        assert percentile(traffic.read_seconds, 0.95) < 1
        assert traffic.acknowledged <= stored(service.port)
    record_counts(rounds, acknowledged=len(traffic.acknowledged), lost=0, status_503=traffic.written[503])
