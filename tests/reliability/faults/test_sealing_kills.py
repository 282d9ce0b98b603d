"""Services on one PostgreSQL database are killed while they leave, seal and add up what the others have left."""

import random
import threading
import time
from contextlib import ExitStack

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.services.audit import hash_chain
from reliability.clients.workload import Workload, running_threads

SERVICES = 3


@pytest.mark.proof("kill -9 of one of three services that seal and count")
def test_nothing_is_lost_if_a_service_dies_while_it_seals(tmp_path, postgresql_database_url, extent, record_counts):
    workload, kills = Workload(tmp_path, postgresql_database_url), extent(short=2, long=20)
    rng, database, left = random.Random(), Database(postgresql_database_url), 0
    for kill in range(kills):
        with ExitStack() as services:
            started = [services.enter_context(workload.serve()) for _ in range(SERVICES)]
            if kill == 0:
                workload.create_machines(started[0].port)
            stopped = threading.Event()
            threads = [
                threading.Thread(target=writer.write_until, args=(started[number % SERVICES].port, stopped))
                for number, writer in enumerate(workload.writers)
            ]
            threads.append(threading.Thread(target=workload.follow, args=(started[1].port, stopped)))
            with running_threads(threads, stopped):
                for _ in range(100):
                    time.sleep(rng.uniform(0.005, 0.015))
                    left += database.snapshot(hash_chain.count_pending)
                started[0].process.kill()
                started[0].process.wait()
                time.sleep(0.5)
            workload.finish_and_check(started[1].port)
    database.close_writer()
    assert left > 0
    record_counts(kills, seen_pending=left, lost=0, numbers_missing=0, wrong_counters=0)
