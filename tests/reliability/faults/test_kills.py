"""A service that is killed during writes loses no acknowledged write, and unanswered requests can be repeated."""

import json
import random
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

import forked_processes
from conftest import ENGINES
from reliability.clients.http_client import Response
from reliability.clients.workload import Workload, running_threads
from reliability.clients.writers import Writer
from servers import ForkedService, environment

# Start a new database after this many kills, because each check reads the whole database.
KILLS_PER_DATABASE = 25


def write_and_kill(workload: Workload, service: ForkedService, seconds: float) -> None:
    stopped = threading.Event()
    threads = [threading.Thread(target=writer.write_until, args=(service.port, stopped)) for writer in workload.writers]
    threads.append(threading.Thread(target=workload.follow, args=(service.port, stopped)))
    with running_threads(threads, stopped):
        time.sleep(seconds)
        service.process.kill()
        service.process.wait()


def kill_repeatedly(workload: Workload, kills: int) -> None:
    rng = random.Random()
    for kill in range(kills + 1):
        with workload.serve() as service:
            if kill == 0:
                workload.create_machines(service.port)
            workload.finish_and_check(service.port)
            if kill < kills:
                write_and_kill(workload, service, rng.uniform(0.2, 1))


def save_and_restore(folder: Path, url: str) -> None:
    """Restore a backup to another database, whose history must contain the printed head."""
    file, restored = folder / f"{uuid4()}.backup", environment(database_url=f"sqlite:///{folder / f'{uuid4()}.db'}")
    output = forked_processes.run(["backup", str(file)], folder, environment(database_url=url))
    forked_processes.run(["restore", str(file)], folder, restored)
    forked_processes.run(["verify", "--head", output.split()[-1]], folder, restored)


def test_a_rejected_retry_leaves_the_state_of_the_record_unknown():
    """The first attempt of a PUT may have succeeded although its retry is rejected after a rename of the machine."""
    writer = Writer(0, {0: "Mill"})
    created = writer._put_new()
    record = {**created.document, "uuid": created.path.removeprefix("/logs/"), "version": 1}
    responses = [Response(201, {}, json.dumps(record).encode()), None, Response(422, {}, b"{}")]
    http = SimpleNamespace(try_send=lambda *_: responses.pop(0))
    writer.unanswered = created
    writer.send_one(http)
    assert writer.differences({created.path: record}) == []
    assert len(writer.differences({created.path: {**record, "comment": "lost"}})) == 1
    put = writer.unanswered = writer._put(created.path)
    writer.send_one(http)
    writer.send_one(http)
    assert writer.differences({created.path: {**record, **put.document}}) == []


@pytest.mark.proof("kill -9 under 8 writers of every kind")
@pytest.mark.parametrize("engine", ENGINES)
def test_acknowledged_writes_survive_a_kill(tmp_path, engine, new_database_url, extent, record_counts):
    remaining = kills = extent(short=13, long=100)
    writers = []
    while remaining > 0:
        workload = Workload(tmp_path, new_database_url(engine))
        kill_repeatedly(workload, min(remaining, KILLS_PER_DATABASE))
        save_and_restore(tmp_path, workload.url)
        remaining -= KILLS_PER_DATABASE
        writers += workload.writers
    unanswered = sum(writer.statuses[0] for writer in writers)
    assert unanswered > 0
    acknowledged = sum(writer.acknowledged for writer in writers)
    record_counts(kills, acknowledged=acknowledged, lost=0, unanswered=unanswered, duplicated=0)
