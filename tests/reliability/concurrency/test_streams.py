"""Very many event streams of one reader do not cut anybody else off, and a stream ends with its credential."""

import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress

import pytest

from reliability.clients.accounts import add_users
from reliability.clients.http_client import JSON, HttpClient
from servers import ForkedService, connect, read_to_end

STREAMS = 1_000
END_SECONDS = 15


class Attack(threading.Thread):
    """Opens `count` streams with one token, again and again; `statuses` counts the responses, None for no response."""

    def __init__(self, port, token, count):
        super().__init__()
        self.port, self.count, self._request = port, count, request_of_stream(token)
        self.statuses, self.most_open = Counter(), 0
        self._stopped = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self.join()

    def run(self):
        while not self._stopped.is_set():
            with ExitStack() as stack:
                clients = [stack.enter_context(connect(self.port)) for _ in range(self.count)]
                for client in clients:
                    with suppress(OSError):
                        client.sendall(self._request)
                statuses = Counter(status_of(client) for client in clients)
                self.statuses += statuses
                self.most_open = max(self.most_open, statuses[200])
                self._stopped.wait(1)


def status_of(client):
    try:
        return int(client.recv(12)[9:12])
    except (OSError, ValueError):
        return None


@pytest.mark.proof(f"{STREAMS:,} event streams of one token")
def test_a_thousand_streams_of_one_reader_cut_nobody_else(tmp_path, database_url, extent, record_counts):
    tokens = add_users(database_url, ONE="read", TWO="write")
    headers = {"Authorization": f"Bearer {tokens['TWO']}"}
    times = 0
    with ForkedService(tmp_path, database_url=database_url, open=False) as service:
        with Attack(service.port, tokens["ONE"], STREAMS) as attack:
            end = time.monotonic() + extent(short=6, long=60)
            while time.monotonic() < end or attack.statuses.total() < STREAMS:
                # A new connection each time.
                with HttpClient(service.port) as http:
                    assert http.send("GET", "/healthz").status == 200
                    assert http.try_send("GET", "/logs?limit=1", headers=headers).status == 200
                    path = f"/machines/Saw%20{times}"
                    assert http.try_send("PUT", path, b"{}", headers).status == 201
                times += 1
            assert is_followed(service.port, tokens["TWO"])
        # With more connections than the service takes, it cuts those that wait for nothing: the attack's own.
        assert set(attack.statuses) <= {200, 429, None}
        assert attack.most_open == 8
    log = service.log.read_text()
    assert "Traceback" not in log
    record_counts(times, refused=attack.statuses[429], others_cut=0)


@pytest.mark.proof("a token revoked under an open stream")
def test_a_quiet_stream_ends_with_its_token(tmp_path, database_url, extent, record_counts):
    headers = {"Authorization": f"Bearer {add_users(database_url, ONE='write')['ONE']}", **JSON}
    times, slowest = extent(short=1, long=4), 0.0
    with ForkedService(tmp_path, database_url=database_url, open=False) as service, HttpClient(service.port) as http:
        for _ in range(times):
            made = http.try_send("POST", "/tokens", b'{"name": "wall", "scope": "read"}', headers).json
            with connect(service.port, 2 * END_SECONDS) as client:
                client.sendall(request_of_stream(made["token"]))
                assert client.recv(12) == b"HTTP/1.1 200"
                assert http.try_send("DELETE", f"/tokens/{made['id']}", headers=headers).status == 204
                began = time.monotonic()
                # The stream ends properly, so that the client does not take it for a fault of the network.
                assert read_to_end(client).endswith(b"\r\n0\r\n\r\n")
                slowest = max(slowest, time.monotonic() - began)
    assert slowest < END_SECONDS
    record_counts(times, slowest_end=f"{slowest:.0f} s")


def request_of_stream(token, query=""):
    head = f"GET /events{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    return head.encode()


def is_followed(port, token):
    """Whether another reader gets a stream and an event on it."""
    with connect(port) as client:
        client.sendall(request_of_stream(token, "?since=0"))
        received = b""
        while b"event: change" not in received:
            received += client.recv(65536) or pytest.fail(received.decode())
    return True
