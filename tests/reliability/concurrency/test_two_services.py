"""Two service processes on one database: each sees the writes of the other at once, and events in order."""

import json
import threading
import time
from contextlib import closing

import pytest

from reliability.clients.http_client import HttpClient
from reliability.clients.replica import Replica
from reliability.clients.workload import Workload, running_threads
from servers import connect

QUIET_SECONDS = 2


class Listener(threading.Thread):
    """Reads all events of a service, until no event arrives for a while."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.ending = threading.Event()
        self.changes: list[dict] = []

    def run(self) -> None:
        with closing(connect(self.port, QUIET_SECONDS)) as client:
            client.sendall(b"GET /events?since=0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            with client.makefile("rb") as lines:
                while True:
                    try:
                        line = lines.readline()
                    except TimeoutError:
                        return
                    if line.startswith(b"data: "):
                        self.changes.append(json.loads(line[6:]))


@pytest.mark.proof("two services on one database, 8 writers")
def test_two_services_on_one_database_are_consistent(tmp_path, database_url, extent, record_counts):
    workload, seconds = Workload(tmp_path, database_url), extent(short=4, long=30)
    with workload.serve() as one, workload.serve() as two:
        workload.create_machines(one.port)
        listeners = [Listener(service.port) for service in (one, two)]
        stopped = threading.Event()
        busy = [
            threading.Thread(target=writer.write_until, args=(service.port, stopped))
            for writer, service in zip(workload.writers, (one, two) * len(workload.writers), strict=False)
        ]
        busy.append(threading.Thread(target=workload.follow, args=(two.port, stopped)))
        for listener in listeners:
            listener.start()
        with running_threads(busy, stopped):
            seen_at_once = write_and_read_across(one.port, two.port, seconds)
        workload.finish_and_check(one.port)
        workload.finish_and_check(two.port)
        for listener in listeners:
            listener.join()
    for listener in listeners:
        assert [change["seq"] for change in listener.changes] == workload.replica.sequence_numbers
        copy = Replica()
        copy.apply({"items": listener.changes, "next": workload.replica.since})
        assert copy.records == workload.replica.records
    written = sum(writer.acknowledged for writer in workload.writers)
    record_counts(written, events_missed=0, seen_at_once=seen_at_once)


def write_and_read_across(one: int, two: int, seconds: float) -> int:
    """Write to one service and read from the other, during other writes; return the number of repetitions."""
    end, times = time.monotonic() + seconds, 0
    with HttpClient(one) as writing, HttpClient(two) as reading:
        assert writing.send("PUT", "/machines/Across", {}).status == 201
        while time.monotonic() < end:
            path = f"/logs/00000000-0000-4000-8000-{times:012x}"
            written = writing.send("PUT", path, {"machine": "Across", "type": "info", "comment": f"look {times}"})
            assert written.status == 201
            read = reading.send("GET", path)
            assert (read.status, read.body) == (200, written.body)
            (newest,) = reading.get("/logs", machine="Across", q=f'"look {times}"')["items"]
            assert newest["uuid"] in path
            times += 1
    return times
