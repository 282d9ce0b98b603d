"""A database with those who write to it and who follows its changes, and what must hold of it at any time."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from machine_monitor.database.connect import Database
from machine_monitor.services.checks.verify import verify
from reliability.clients import replica
from reliability.clients.callers import Caller
from reliability.clients.replica import LISTS, Replica
from reliability.clients.writers import DELETED, Writer
from servers import ForkedService

WRITERS = 8


@contextmanager
def running(threads: Sequence[threading.Thread], stopped: threading.Event) -> Iterator[None]:
    """Threads that go on until `stopped`, which is set however this ends."""
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


class Site:
    """A database, who writes to it over one service after another, and who follows the changes."""

    def __init__(self, folder, url: str) -> None:
        self.folder = folder
        self.url = url
        self.machines = {number: f"Machine {number}" for number in range(WRITERS)}
        self.writers = [Writer(number, self.machines) for number in range(WRITERS)]
        self.replica = Replica()

    def serve(self) -> ForkedService:
        return ForkedService(self.folder, database_url=self.url)

    def begin(self, port: int) -> None:
        with Caller(port) as caller:
            for name in self.machines.values():
                assert caller.send("POST", "/machines", {"name": name}).status == 201

    def settle(self, port: int) -> None:
        """Send again what was not answered, until it is; then look at everything."""
        with Caller(port) as caller:
            self.check(caller)
            for writer in self.writers:
                while writer.doubt is not None:
                    writer.step(caller)
            self.check(caller)
        assert [writer.unexpected for writer in self.writers if writer.unexpected] == []
        self.verify()

    def check(self, caller: Caller) -> None:
        """What was acknowledged is there, nothing is there twice, and the history says the same as the records."""
        base = replica.read(caller)
        found = {
            f"{path}/{quote(key, safe='')}": record
            for resource, path in LISTS.items()
            for key, record in base[resource].items()
        }
        found |= {f"/logs/{log['uuid']}": DELETED for log in caller.walk("/logs", deleted="true")}
        assert [fault for writer in self.writers for fault in writer.check(found)] == []
        self.replica.follow(caller)
        assert self.replica.base == replica.shown(base)
        assert {comment: times for comment, times in self.replica.written.items() if times > 1} == {}
        # PostgreSQL's identifiers leave gaps, the history's numbers must not.
        assert self.replica.numbers == list(range(1, len(self.replica.numbers) + 1))

    def wal(self) -> Path:
        """Where SQLite keeps its write-ahead log; PostgreSQL has no such file."""
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
        """Follow the changes while they are made: one that appeared below another would be missed."""
        with Caller(port) as caller:
            while not stopped.is_set():
                answer = caller.ask("GET", f"/changes?limit=1000&since={self.replica.since}")
                if answer is not None and answer.status == 200:
                    self.replica.apply(answer.json)
