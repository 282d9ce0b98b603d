"""A workload on a database: concurrent writers, a follower of the change feed, and invariants that must always hold."""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from machine_monitor.database.connect import Database
from machine_monitor.services.checks.verify import verify
from reliability.clients import replica
from reliability.clients.http_client import HttpClient
from reliability.clients.replica import LISTS, Replica
from reliability.clients.writers import DELETED, Writer
from servers import ForkedService

WRITERS = 8


@contextmanager
def running_threads(threads: Sequence[threading.Thread], stopped: threading.Event) -> Iterator[None]:
    """Run threads, and at the end set `stopped` and join them."""
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


# A change is in the feed at most so long after its response.
SEAL_SECONDS = 0.5


class Workload:
    """A database with writers and a replica, which work with one service process after another."""

    def __init__(self, folder, url: str) -> None:
        self.folder = folder
        self.url = url
        self.machines = {number: f"Machine {number}" for number in range(WRITERS)}
        self.writers = [Writer(number, self.machines) for number in range(WRITERS)]
        self.replica = Replica()

    def serve(self) -> ForkedService:
        return ForkedService(self.folder, database_url=self.url)

    def create_machines(self, port: int) -> None:
        with HttpClient(port) as http:
            for name in self.machines.values():
                assert http.send("POST", "/machines", {"name": name}).status == 201

    def finish_and_check(self, port: int) -> None:
        """Repeat all requests that got no response until they succeed, and check all invariants."""
        with HttpClient(port) as http:
            self.check_invariants(http)
            for writer in self.writers:
                while writer.unanswered is not None:
                    writer.send_one(http)
            self.check_invariants(http)
        assert [writer.unexpected for writer in self.writers if writer.unexpected] == []
        self.verify()

    def check_invariants(self, http: HttpClient) -> None:
        """Assert that no acknowledged write is lost or duplicated, and that history and records agree."""
        records_by_key = replica.read_all(http)
        current = {
            f"{path}/{quote(key, safe='')}": record
            for resource, path in LISTS.items()
            for key, record in records_by_key[resource].items()
        }
        current |= {f"/logs/{log['uuid']}": DELETED for log in http.walk("/logs", deleted="true")}
        assert [fault for writer in self.writers for fault in writer.differences(current)] == []
        time.sleep(SEAL_SECONDS)
        self.replica.catch_up(http)
        assert self.replica.records == replica.writable_values(records_by_key)
        assert {comment: times for comment, times in self.replica.written.items() if times > 1} == {}
        # PostgreSQL's sequences may have gaps, but the numbers of the history must not.
        assert self.replica.sequence_numbers == list(range(1, len(self.replica.sequence_numbers) + 1))

    def wal_path(self) -> Path:
        """Return the path of SQLite's write-ahead log; on PostgreSQL, this file does not exist."""
        return Path(f"{self.url.removeprefix('sqlite:///')}-wal")

    def verify(self) -> None:
        database = Database(self.url)
        assert verify(database).faults == []
        database.close_writer()
        if database.engine.name == "sqlite":
            with closing(sqlite3.connect(database.url.path)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert connection.execute("PRAGMA foreign_key_check").fetchall() == []

    def follow(self, port: int, stopped: threading.Event) -> None:
        """Follow the change feed during the writes: a change with a lower number that appears late would be missed."""
        with HttpClient(port) as http:
            while not stopped.is_set():
                response = http.try_send("GET", f"/changes?limit=1000&since={self.replica.since}")
                if response is not None and response.status == 200:
                    self.replica.apply(response.json)
