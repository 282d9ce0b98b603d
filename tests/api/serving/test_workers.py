"""Several workers act as one service: consistent reads, shared metrics, replacement of workers, graceful shutdown."""

import json
import os
import re
import signal
import socket
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from api.paced_client import fill
from servers import Service, connect, read_to_end

pytestmark = pytest.mark.slow

TWO = ("--workers", "2")
BODY = b'{"sector": "1A"}'


LATE = b"PUT /machines/Late HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n"


@pytest.fixture
def open_connection():
    """A function that opens connections, which are closed at the end of the test."""
    with ExitStack() as opened:
        yield lambda port: Connection(opened.enter_context(connect(port)))


class Connection:
    """A keep-alive connection that sends one request after another."""

    def __init__(self, opened):
        self.socket = opened

    def ask(self, method, path, body=b""):
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.socket.sendall(head.encode() + b"\r\n" + body)
        response = b""
        while not (ended := re.search(rb"content-length: (\d+)\r\n.*?\r\n\r\n", response, re.DOTALL)):
            response += self.socket.recv(65536) or pytest.fail("hung up")
        while len(response) < ended.end() + int(ended[1]):
            response += self.socket.recv(65536) or pytest.fail("hung up during a response")
        return int(response[9:12]), response[ended.end() :]


@pytest.fixture
def service(tmp_path, empty_url):
    with Service(tmp_path, *TWO, database_url=empty_url) as started:
        wait_for_workers(started, 2)
        yield started


def wait_for_workers(service, count):
    """Wait until `count` workers have started in total."""
    for _ in range(1_200):
        if service.log.read_text().count("Application startup complete") >= count:
            return
        time.sleep(0.05)
    pytest.fail(service.log.read_text())


def workers(service):
    pids = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    return [int(pid) for pid in pids if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


@contextmanager
def suspended(pids):
    """Suspend these processes."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def connection_to_each(service, open_connection):
    """Open a connection to each worker: while the others are suspended, only that worker accepts connections."""
    connections = []
    pids = workers(service)
    for pid in pids:
        with suspended([other for other in pids if other != pid]):
            connections.append(open_connection(service.port))
            assert connections[-1].ask("GET", "/readyz")[0] == 200
    return connections


def test_each_worker_sees_writes_of_other_workers_at_once(service, open_connection):
    one, other = connection_to_each(service, open_connection)
    for number in range(30):
        writer, reader = (one, other) if number % 2 else (other, one)
        for sector in ("1A", "2B"):
            status, written = writer.ask("PUT", f"/machines/{number}", json.dumps({"sector": sector}).encode())
            assert status in (200, 201)
            assert reader.ask("GET", f"/machines/{number}") == (200, written)
        listed = json.loads(reader.ask("GET", "/machines?limit=1&count=exact")[1])
        assert listed["total"] == number + 1


def test_each_worker_reports_the_metrics_of_all(service, open_connection):
    connections = connection_to_each(service, open_connection)
    for connection in connections:
        for _ in range(5):
            connection.ask("GET", "/logs")
    for connection in connections:
        await_metric(connection, 'machine_monitor_requests_total{method="GET",operation="list_logs",status="200"} 10.0')
        await_metric(connection, "machine_monitor_requests_in_flight 1.0")
        assert re.search(rb"^machine_monitor_build_info\{.*\} 1.0$", connection.ask("GET", "/metrics")[1], re.MULTILINE)


def await_metric(connection, sample):
    """Poll the metrics for a value: a client may read a response a moment before the server counts it."""
    for _ in range(50):
        metrics = connection.ask("GET", "/metrics")[1].decode()
        if sample in metrics.splitlines():
            return
        time.sleep(0.05)
    pytest.fail(metrics)


def test_workers_that_load_slowly_are_not_taken_for_dead(tmp_path, monkeypatch, sqlite_database_url):
    script = 'import sys, time\n"--multiprocessing-fork" in sys.orig_argv and time.sleep(7)\n'
    (tmp_path / "sitecustomize.py").write_text(script)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with Service(tmp_path, *TWO, database_url=sqlite_database_url) as service:
        wait_for_workers(service, 2)
    assert "died" not in service.log.read_text()


def test_a_worker_that_dies_is_replaced_and_nothing_is_lost(service, open_connection):
    one, _ = connection_to_each(service, open_connection)
    for number in range(10):
        assert one.ask("PUT", f"/machines/{number}", BODY)[0] == 201
    pids = workers(service)
    os.kill(pids[0], signal.SIGKILL)
    wait_for_workers(service, 3)
    assert len(set(workers(service)) - set(pids)) == 1
    for connection in connection_to_each(service, open_connection):
        assert json.loads(connection.ask("GET", "/machines?count=exact")[1])["total"] == 10
        # Requests that the dead worker was processing are no longer counted as running.
        await_metric(connection, "machine_monitor_requests_in_flight 1.0")


@pytest.mark.parametrize("words", [(), TWO], ids=["one", "two"])
def test_requests_in_progress_at_shutdown_are_completed(tmp_path, sqlite_database_url, open_connection, words):
    fill(sqlite_database_url, 600, comment="as it was " * 1_500)
    with Service(tmp_path, *words, database_url=sqlite_database_url) as service:
        wait_for_workers(service, len(words) or 1)
        idle, writing, reading = (open_connection(service.port).socket for _ in range(3))
        writing.sendall(LATE)
        reading.sendall(b"GET /logs.ndjson HTTP/1.1\r\nHost: x\r\n\r\n")
        assert reading.recv(100).startswith(b"HTTP/1.1 200")
        service.process.send_signal(signal.SIGTERM)
        assert read_to_end(idle) == b""
        time.sleep(0.5)
        writing.sendall(BODY)
        assert read_to_end(writing).startswith(b"HTTP/1.1 201")
        assert read_to_end(reading).endswith(b"}\n\r\n0\r\n\r\n")
        assert service.process.wait(10) in (0, -signal.SIGTERM)
    assert "Traceback" not in service.log.read_text()
    with Service(tmp_path, database_url=sqlite_database_url) as service:
        assert open_connection(service.port).ask("GET", "/machines/Late")[0] == 200


def test_an_unfinished_request_gets_503_at_shutdown(tmp_path, sqlite_database_url, open_connection):
    with Service(tmp_path, *TWO, database_url=sqlite_database_url) as service:
        wait_for_workers(service, 2)
        client = open_connection(service.port).socket
        client.sendall(LATE)
        time.sleep(0.2)
        service.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        response = read_to_end(client)
        assert service.process.wait(5) in (0, -signal.SIGTERM)
        assert 5 < time.monotonic() - began < 12
    assert response.startswith(b"HTTP/1.1 503")
    assert b'"database-busy"' in response
    assert "Traceback" not in service.log.read_text()


def test_workers_are_not_started_on_a_port_that_is_in_use(tmp_path, sqlite_database_url):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        service = Service(tmp_path, *TWO, "--port", str(listening.getsockname()[1]), database_url=sqlite_database_url)
        assert service.process.wait(20) == 2
    assert "Another program listens there" in service.log.read_text()
    assert "Traceback" not in service.log.read_text()
