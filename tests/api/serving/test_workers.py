"""Several workers are one service: they see each other's writes, count together, are replaced, and end in order."""

import json
import os
import re
import signal
import socket
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from api.taking import fill
from servers import Service, connect, rest

pytestmark = pytest.mark.slow

TWO = ("--workers", "2")
BODY = b'{"sector": "1A"}'


LATE = b"PUT /machines/Late HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n"


@pytest.fixture
def lines():
    """Opens connections that are kept until the test ends."""
    with ExitStack() as opened:
        yield lambda port: Line(opened.enter_context(connect(port)))


class Line:
    """A connection, and one request after another over it."""

    def __init__(self, opened):
        self.socket = opened

    def ask(self, method, path, body=b""):
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.socket.sendall(head.encode() + b"\r\n" + body)
        said = b""
        while not (ended := re.search(rb"content-length: (\d+)\r\n.*?\r\n\r\n", said, re.DOTALL)):
            said += self.socket.recv(65536) or pytest.fail("hung up")
        while len(said) < ended.end() + int(ended[1]):
            said += self.socket.recv(65536) or pytest.fail("hung up in an answer")
        return int(said[9:12]), said[ended.end() :]


@pytest.fixture
def service(tmp_path, empty_url):
    with Service(tmp_path, *TWO, database_url=empty_url) as started:
        wait_for(started, 2)
        yield started


def wait_for(service, count):
    """Wait until so many workers have started in all."""
    for _ in range(300):
        if service.log.read_text().count("Application startup complete") >= count:
            return
        time.sleep(0.05)
    pytest.fail(service.log.read_text())


def workers(service):
    pids = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    return [int(pid) for pid in pids if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


@contextmanager
def stopped(pids):
    """These processes stand still."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def one_of_each(service, lines):
    """A connection to each worker: while the others stand still it is the one who accepts."""
    found = []
    pids = workers(service)
    for pid in pids:
        with stopped([other for other in pids if other != pid]):
            found.append(lines(service.port))
            assert found[-1].ask("GET", "/readyz")[0] == 200
    return found


def test_each_worker_sees_at_once_what_another_wrote(service, lines):
    one, other = one_of_each(service, lines)
    for number in range(30):
        writer, reader = (one, other) if number % 2 else (other, one)
        for sector in ("1A", "2B"):
            status, written = writer.ask("PUT", f"/machines/{number}", json.dumps({"sector": sector}).encode())
            assert status in (200, 201)
            assert reader.ask("GET", f"/machines/{number}") == (200, written)
        listed = json.loads(reader.ask("GET", "/machines?limit=1&count=exact")[1])
        assert listed["total"] == number + 1


def test_whichever_worker_is_asked_tells_the_metrics_of_all(service, lines):
    found = one_of_each(service, lines)
    for line in found:
        for _ in range(5):
            line.ask("GET", "/logs")
    for line in found:
        await_metric(line, 'machine_monitor_requests_total{method="GET",operation="list_logs",status="200"} 10.0')
        await_metric(line, "machine_monitor_requests_in_flight 1.0")
        assert re.search(rb"^machine_monitor_build_info\{.*\} 1.0$", line.ask("GET", "/metrics")[1], re.MULTILINE)


def await_metric(line, wanted):
    """Ask until the metrics say so: an answer may be read a moment before it is counted."""
    for _ in range(50):
        told = line.ask("GET", "/metrics")[1].decode()
        if wanted in told.splitlines():
            return
        time.sleep(0.05)
    pytest.fail(told)


def test_a_worker_that_dies_is_replaced_and_nothing_is_lost(service, lines):
    one, _ = one_of_each(service, lines)
    for number in range(10):
        assert one.ask("PUT", f"/machines/{number}", BODY)[0] == 201
    pids = workers(service)
    os.kill(pids[0], signal.SIGKILL)
    wait_for(service, 3)
    assert len(set(workers(service)) - set(pids)) == 1
    for line in one_of_each(service, lines):
        assert json.loads(line.ask("GET", "/machines?count=exact")[1])["total"] == 10
        # What the dead one had under way is not under way.
        await_metric(line, "machine_monitor_requests_in_flight 1.0")


@pytest.mark.parametrize("words", [(), TWO], ids=["one", "two"])
def test_what_is_being_answered_when_the_service_ends_is_answered(tmp_path, sqlite_database_url, lines, words):
    fill(sqlite_database_url, 600, comment="as it was " * 1_500)
    with Service(tmp_path, *words, database_url=sqlite_database_url) as service:
        wait_for(service, len(words) or 1)
        idle, writing, reading = (lines(service.port).socket for _ in range(3))
        writing.sendall(LATE)
        reading.sendall(b"GET /logs.ndjson HTTP/1.1\r\nHost: x\r\n\r\n")
        assert reading.recv(100).startswith(b"HTTP/1.1 200")
        service.process.send_signal(signal.SIGTERM)
        assert rest(idle) == b""
        time.sleep(0.5)
        writing.sendall(BODY)
        assert rest(writing).startswith(b"HTTP/1.1 201")
        assert rest(reading).endswith(b"}\n\r\n0\r\n\r\n")
        assert service.process.wait(10) in (0, -signal.SIGTERM)
    assert "Traceback" not in service.log.read_text()
    with Service(tmp_path, database_url=sqlite_database_url) as service:
        assert lines(service.port).ask("GET", "/machines/Late")[0] == 200


def test_who_does_not_come_to_an_end_is_told_that_the_service_does(tmp_path, sqlite_database_url, lines):
    with Service(tmp_path, *TWO, database_url=sqlite_database_url) as service:
        wait_for(service, 2)
        client = lines(service.port).socket
        client.sendall(LATE)
        time.sleep(0.2)
        service.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        said = rest(client)
        assert service.process.wait(5) in (0, -signal.SIGTERM)
        assert 5 < time.monotonic() - began < 12
    assert said.startswith(b"HTTP/1.1 503")
    assert b'"database-busy"' in said


def test_workers_that_cannot_start_stop_the_service(tmp_path, sqlite_database_url):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        service = Service(tmp_path, *TWO, "--port", str(taken.getsockname()[1]), database_url=sqlite_database_url)
        assert service.process.wait(20) == 2
    assert "could not start" in service.log.read_text()
    assert "Traceback" not in service.log.read_text()
