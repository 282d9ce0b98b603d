"""Uploads while the service is killed and while clients are slow: no row without its bytes, and no half file."""

import random
import socket
import threading
import time
import uuid
from hashlib import sha256
from pathlib import Path

import pytest

from conftest import ENGINES
from machine_monitor.database.connect import Database
from machine_monitor.services.checks.verify import verify
from machine_monitor.services.files import upkeep
from machine_monitor.services.files.store import FolderStore
from reliability.clients.http_client import HttpClient
from reliability.clients.workload import running_threads
from servers import ForkedService

UPLOADERS, SIZE = 4, 600_000
BYTES = {"Content-Type": "application/octet-stream"}


class Uploader:
    """Adds a file to one new log after another; repeats what got no response. Half of the files are the same bytes."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)
        self._waiting: tuple[str, bytes] | None = None
        self.acknowledged: dict[str, str] = {}
        self.unexpected: list[int] = []
        self.unanswered = 0

    def upload_until(self, port: int, stopped: threading.Event) -> None:
        with HttpClient(port) as http:
            while not stopped.is_set():
                self.upload_one(http)

    def finish(self, port: int) -> None:
        """Repeat the request that got no response."""
        with HttpClient(port) as http:
            while self._waiting is not None:
                self.upload_one(http)

    def upload_one(self, http: HttpClient) -> None:
        path, content = self._waiting = self._waiting or self._next()
        response = http.try_send("PUT", path, content, BYTES)
        if response is not None and response.status == 404:
            http.try_send("PUT", path.partition("/attachments")[0], b'{"machine": "Press", "type": "info"}')
        elif response is None or response.status == 503:
            self.unanswered += response is None
            time.sleep(0.02)
        else:
            self._waiting = None
            if response.status not in (200, 201):
                self.unexpected.append(response.status)
            self.acknowledged[path.rpartition("/")[2]] = sha256(content).hexdigest()

    def _next(self) -> tuple[str, bytes]:
        content = bytes(SIZE) if self._random.random() < 0.5 else self._random.randbytes(SIZE)
        return f"/logs/{self._uuid()}/attachments/{self._uuid()}", content

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


def rows_of(url: str, store: FolderStore) -> dict[str, str]:
    """Return the digest of each attachment by its id. Records, history and every byte must be sound."""
    database = Database(url)
    try:
        assert verify(database).faults == []
        assert upkeep.take_inventory(database, store).faults == []

        def read(tx):
            tx.cursor.execute("SELECT id, sha256 FROM log_attachments")
            return {str(identity): digest for identity, digest in tx.cursor.fetchall()}

        return database.snapshot(read)
    finally:
        database.close_writer()


@pytest.mark.slow
@pytest.mark.proof("kill -9 during uploads")
@pytest.mark.parametrize("engine", ENGINES)
def test_acknowledged_uploads_survive_a_kill(tmp_path, engine, new_database_url, extent, record_counts):
    url, store = new_database_url(engine), FolderStore(tmp_path / "files")
    uploaders = [Uploader(number) for number in range(UPLOADERS)]
    rng = random.Random()
    kills = extent(short=3, long=40)
    for kill in range(kills + 1):
        with ForkedService(tmp_path, database_url=url, files=store.folder) as service:
            if kill == 0:
                with HttpClient(service.port) as http:
                    assert http.send("PUT", "/machines/Press", {}).status == 201
            for uploader in uploaders:
                uploader.finish(service.port)
            if kill == kills:
                break
            stopped = threading.Event()
            threads = [threading.Thread(target=each.upload_until, args=(service.port, stopped)) for each in uploaders]
            with running_threads(threads, stopped):
                time.sleep(rng.uniform(0.5, 1.5))
                service.process.kill()
                service.process.wait()
        # Each file under its digest is whole, whether or not a row names it.
        for file in store.files():
            assert sha256(store.path_of(file.digest).read_bytes()).hexdigest() == file.digest
    acknowledged = {identity: digest for uploader in uploaders for identity, digest in uploader.acknowledged.items()}
    assert rows_of(url, store) == acknowledged
    assert [each.unexpected for each in uploaders] == [[]] * UPLOADERS
    assert len(acknowledged) > len({*acknowledged.values()})
    unanswered = sum(each.unanswered for each in uploaders)
    record_counts(kills, acknowledged=len(acknowledged), lost=0, half_files=0, unanswered=unanswered)


@pytest.mark.slow
@pytest.mark.proof("uploads of slow clients, and two of the same bytes at once")
@pytest.mark.parametrize("engine", ENGINES)
def test_slow_uploads_hold_no_writer(tmp_path, engine, new_database_url, record_counts):
    store, slow = FolderStore(tmp_path / "files"), 8
    with ForkedService(tmp_path, database_url=new_database_url(engine), files=store.folder) as service:
        with HttpClient(service.port) as http:
            http.send("PUT", "/machines/Press", {})
            log = http.send("POST", "/logs", {"machine": "Press", "type": "info"}).json["uuid"]
        content = b"x" * 100_000
        sockets = [begin_upload(service.port, f"/logs/{log}/attachments/{uuid.uuid4()}", content) for _ in range(slow)]
        wait_for_parts(store, slow)
        with HttpClient(service.port) as http:
            for _ in range(10):
                began = time.monotonic()
                assert http.send("POST", "/logs", {"machine": "Press", "type": "info"}).status == 201
                assert time.monotonic() - began < 5
            assert http.send("GET", f"/logs/{log}").json["attachment_count"] == 0
        finishing = [threading.Thread(target=finish_upload, args=(each, content)) for each in sockets]
        with running_threads(finishing, threading.Event()):
            pass
        with HttpClient(service.port) as http:
            stored_log = http.send("GET", f"/logs/{log}").json
    assert stored_log["attachment_count"] == slow
    assert [file.digest for file in store.files()] == [sha256(content).hexdigest()]
    assert [*store.folder.glob("incoming/*")] == []
    record_counts(slow, files=1, writes_meanwhile=10)


def begin_upload(port: int, path: str, content: bytes) -> socket.socket:
    """Send the head of a PUT and the first half of its body."""
    opened = socket.create_connection(("127.0.0.1", port), timeout=30)
    head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
    opened.sendall(head.encode() + content[: len(content) // 2])
    return opened


def finish_upload(opened: socket.socket, content: bytes) -> None:
    with opened:
        opened.sendall(content[len(content) // 2 :])
        assert opened.recv(100).startswith(b"HTTP/1.1 201")


def wait_for_parts(store: FolderStore, count: int) -> None:
    end = time.monotonic() + 30
    while len(parts := [*Path(store.folder).glob("incoming/*.part")]) < count:
        assert time.monotonic() < end, parts
        time.sleep(0.02)
