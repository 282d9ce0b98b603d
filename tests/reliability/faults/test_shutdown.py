"""A service with open streams and downloads stops within two seconds, without a traceback."""

import signal
import socket
import time
from contextlib import ExitStack
from uuid import uuid4

import httpx2
import pytest

from api.paced_client import fill
from servers import START_SECONDS, Service, connect, read_to_end

STREAMS = 8
STOP_SECONDS = 2.0
ATTEMPTS = 4
STREAM = b"GET /events?since=0 HTTP/1.1\r\nHost: x\r\n\r\n"
PDF = b"%PDF-1.7\n" + bytes(4 * 1024 * 1024)
EXPORT = b"GET /logs.ndjson HTTP/1.1\r\nHost: x\r\n\r\n"
TWO = ("--workers", "2")


def slow_client(port):
    """Connect with a small buffer: the service cannot send all of a download to a client that does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.settimeout(15)
    return client


def wait_for_workers(service, count):
    """Wait until all workers serve: the parent process waits for one that is starting."""
    end = time.monotonic() + START_SECONDS
    while service.log.read_text().count("Application startup complete") < count:
        assert time.monotonic() < end, service.log.read_text()
        time.sleep(0.05)


def start_request(client, request):
    """Send a request and wait for the start of its response."""
    client.sendall(request)
    assert client.recv(100).startswith(b"HTTP/1.1 200")
    return client


@pytest.mark.proof(f"SIGTERM with {STREAMS} streams, an export and a file download open")
@pytest.mark.parametrize("words", [(), TWO], ids=["one", "two"])
def test_a_service_with_open_streams_stops_at_once(tmp_path, database_url, extent, record_counts, words):
    fill(database_url, 300, comment="as it was " * 1_500)
    stops = []
    # Other processes of the machine may delay one stop or another, but not all of them.
    while not stops or (min(stops) > STOP_SECONDS and len(stops) < ATTEMPTS) or len(stops) < extent(short=1, long=10):
        with Service(tmp_path, *words, database_url=database_url, files=str(tmp_path / "files")) as service:
            wait_for_workers(service, 2 if words else 1)
            file = upload(service)
            stops.append(stop_with_open_streams(service, file))
        log = service.log.read_text()
        assert "Traceback" not in log
        assert "Exception" not in log
    assert min(stops) < STOP_SECONDS
    record_counts(len(stops), slowest=f"{max(stops):.1f} s", tracebacks=0)


def upload(service):
    """Add a file of some megabytes to a log; return the path of its download."""
    where = f"http://127.0.0.1:{service.port}"
    log = httpx2.get(f"{where}/logs?limit=1").json()["items"][0]["uuid"]
    added = httpx2.put(f"{where}/logs/{log}/attachments/{uuid4()}?name=manual.pdf", content=PDF)
    return f"/attachments/{added.raise_for_status().json()['attachments'][-1]['id']}"


def stop_with_open_streams(service, file):
    """Open streams and other connections, stop the service, and return how long that took."""
    with ExitStack() as stack:
        streams = [start_request(stack.enter_context(connect(service.port)), STREAM) for _ in range(STREAMS)]
        export = start_request(stack.enter_context(slow_client(service.port)), EXPORT)
        request = f"GET {file} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        download = start_request(stack.enter_context(slow_client(service.port)), request)
        # Also a request that has no response yet, and a connection without any.
        stack.enter_context(connect(service.port)).sendall(STREAM)
        stack.enter_context(connect(service.port))
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(20) in (0, -signal.SIGTERM)
        took = time.monotonic() - began
        for stream in streams:
            read_to_end(stream)
        # An export that was cut off has no end, so the client knows.
        assert not read_to_end(export).endswith(b"0\r\n\r\n")
        assert len(read_to_end(download)) < len(PDF)
    return took
