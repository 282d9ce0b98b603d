"""The service disconnects slow and stalled clients, and only those."""

import socket
import time
from contextlib import closing
from http.client import HTTPConnection

import pytest

from api.paced_client import fill
from machine_monitor.api.serving import connections, metrics
from machine_monitor.config import Settings
from servers import connect, read_to_end, send_raw, threaded

# These tests wait until timeouts expire.
pytestmark = pytest.mark.slow

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /machines HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"


@pytest.fixture
def port(sqlite_database_url, monkeypatch):
    """The port of a service with timeouts of half a second, which it checks often."""
    monkeypatch.setattr(connections, "CHECK_SECONDS", 0.05)
    with threaded(Settings(database_url=sqlite_database_url, head_timeout=0.5, body_timeout=0.5)) as (_, opened):
        yield opened


def cut_count(reason):
    return metrics.ABORTED_CONNECTIONS.labels(reason)._value.get()


def drip(client, data, seconds):
    """Send one byte at a time; return how long the server accepted them."""
    began = time.monotonic()
    try:
        for byte in data:
            client.sendall(bytes([byte]))
            time.sleep(seconds)
    except OSError:
        pass
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("begun", "dripped"),
    [
        (b"", GET),
        (GET, b"X: 1\r\n"),
        (GET + b"\r\n", GET),
        (GET + b"Content-Length: 2\r\n\r\n{}", GET),
        (b"\r\n", b"\r\n"),
        (GET + b"\r\n", b"\r\n"),
    ],
)
def test_slow_headers_are_cut(port, begun, dripped):
    before = cut_count("head")
    with connect(port) as client:
        client.sendall(begun)
        time.sleep(0.1)
        assert 0.3 < drip(client, dripped * 100, 0.05) < 2
    assert cut_count("head") == before + 1


@pytest.mark.parametrize("sent", [b"", b"G", GET, b"\r\n\r\n"])
def test_a_client_that_stalls_in_the_headers_is_disconnected(port, sent):
    with connect(port) as client:
        client.sendall(sent)
        began = time.monotonic()
        assert read_to_end(client) == b""
        assert 0.3 < time.monotonic() - began < 2


@pytest.mark.parametrize("chunked", [False, True])
def test_a_slow_body_is_cut(port, chunked):
    before = cut_count("body")
    with connect(port) as client:
        client.sendall(POST + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: 1000\r\n\r\n"))
        assert 0.3 < drip(client, b"1\r\n \r\n" * 200, 0.05) < 2
    assert cut_count("body") == before + 1
    assert send_raw(port, GET + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_a_steady_body_may_take_longer(port):
    with connect(port) as client:
        client.sendall(POST + b"Content-Length: 40015\r\n\r\n")
        for _ in range(8):
            client.sendall(b" " * 5000)
            time.sleep(0.2)
        client.sendall(b'{"name": "Saw"}')
        assert read_to_end(client).startswith(b"HTTP/1.1 201")


def test_a_client_that_got_an_early_response_cannot_send_forever(port):
    with connect(port) as client:
        client.sendall(POST.replace(b"/machines", b"/nowhere") + b"Content-Length: 1000000000\r\n\r\n")
        began = time.monotonic()
        try:
            while time.monotonic() - began < 5:
                client.sendall(b" " * 65536)
        except OSError:
            pass
        assert time.monotonic() - began < 2


def test_a_keep_alive_connection_in_use_is_not_cut(port):
    with closing(HTTPConnection("127.0.0.1", port)) as client:
        client.connect()
        first = client.sock
        for _ in range(12):
            client.request("GET", "/healthz")
            with client.getresponse() as response:
                assert (response.status, response.read()) == (200, b'{"status":"ok"}')
            assert client.sock is first
            time.sleep(0.15)


def test_an_idle_keep_alive_connection_is_closed(sqlite_database_url, monkeypatch):
    monkeypatch.setattr("machine_monitor.api.serving.server.KEEP_ALIVE_SECONDS", 0.3)
    with threaded(Settings(database_url=sqlite_database_url)) as (_, port), connect(port) as client:
        client.sendall(GET + b"\r\n")
        began = time.monotonic()
        assert read_to_end(client).startswith(b"HTTP/1.1 200")
        assert 0.2 < time.monotonic() - began < 2


@pytest.mark.parametrize("patient", [False, True])
def test_a_response_that_the_client_does_not_read_is_aborted(sqlite_database_url, monkeypatch, patient):
    monkeypatch.setattr(connections, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(connections, "SEND_TIMEOUT_SECONDS", 60 if patient else 0.3)
    fill(sqlite_database_url, 600, comment="as it was " * 1_500)
    before = cut_count("answer")
    with threaded(Settings(database_url=sqlite_database_url, head_timeout=0.2)) as (_, port), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.settimeout(15)
        client.sendall(b"GET /logs?limit=500 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        time.sleep(1)
        assert read_to_end(client).endswith(b"}") is patient
    assert cut_count("answer") == before + (not patient)


def test_a_slow_reader_of_a_long_response_gets_all_of_it(sqlite_database_url, monkeypatch):
    monkeypatch.setattr(connections, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(connections, "SEND_TIMEOUT_SECONDS", 0.5)
    fill(sqlite_database_url, 400, comment="as it was " * 1_500)
    settings = Settings(database_url=sqlite_database_url, head_timeout=0.2, body_timeout=0.2)
    with threaded(settings) as (_, port), connect(port) as client:
        client.sendall(b"GET /logs.ndjson HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        body = b""
        while part := client.recv(200_000):
            body += part
            time.sleep(0.05)
        assert body.endswith(b"0\r\n\r\n")


def test_a_new_connection_displaces_the_longest_waiting_one(sqlite_database_url, monkeypatch):
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    with threaded(Settings(database_url=sqlite_database_url)) as (_, port):
        clients = [connect(port)]
        for sent in (GET, POST + b"Content-Length: 10\r\n\r\n", b""):
            time.sleep(0.05)
            clients[-1].sendall(sent)
            clients.append(connect(port))
        clients[-1].sendall(GET + b"Connection: close\r\n\r\n")
        assert read_to_end(clients[-1]).startswith(b"HTTP/1.1 200")
        assert read_to_end(clients[0]) == b""
        clients[1].sendall(b'{"name":1}')
        assert read_to_end(clients[1]).startswith(b"HTTP/1.1 422")
        for client in clients:
            client.close()
