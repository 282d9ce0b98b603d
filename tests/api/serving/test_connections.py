"""Who is slow or silent is cut, and nobody else."""

import socket
import time

import pytest

from api.taking import fill
from machine_monitor.api.serving import connections, metrics
from machine_monitor.config import Settings
from servers import connect, rest, say, threaded

# The tests wait for time limits to pass.
pytestmark = pytest.mark.slow

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /machines HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"


@pytest.fixture
def port(sqlite_database_url, monkeypatch):
    """The port of a service that looks often and waits for half a second."""
    monkeypatch.setattr(connections, "CHECK_SECONDS", 0.05)
    with threaded(Settings(database_url=sqlite_database_url, head_timeout=0.5, body_timeout=0.5)) as (_, opened):
        yield opened


def cut(reason):
    return metrics.ABORTED_CONNECTIONS.labels(reason)._value.get()


def drip(client, data, seconds):
    """Send a byte at a time; how long the server took it."""
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
def test_a_head_that_comes_too_slowly_is_cut(port, begun, dripped):
    before = cut("head")
    with connect(port) as client:
        client.sendall(begun)
        time.sleep(0.1)
        assert 0.3 < drip(client, dripped * 100, 0.05) < 2
    assert cut("head") == before + 1


@pytest.mark.parametrize("said", [b"", b"G", GET, b"\r\n\r\n"])
def test_who_falls_silent_in_a_head_is_cut(port, said):
    with connect(port) as client:
        client.sendall(said)
        began = time.monotonic()
        assert rest(client) == b""
        assert 0.3 < time.monotonic() - began < 2


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_comes_too_slowly_is_cut(port, chunked):
    before = cut("body")
    with connect(port) as client:
        client.sendall(POST + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: 1000\r\n\r\n"))
        assert 0.3 < drip(client, b"1\r\n \r\n" * 200, 0.05) < 2
    assert cut("body") == before + 1
    assert say(port, GET + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_a_body_that_keeps_coming_may_take_longer(port):
    with connect(port) as client:
        client.sendall(POST + b"Content-Length: 40015\r\n\r\n")
        for _ in range(8):
            client.sendall(b" " * 5000)
            time.sleep(0.2)
        client.sendall(b'{"name": "Saw"}')
        assert rest(client).startswith(b"HTTP/1.1 201")


def test_who_was_answered_early_does_not_send_for_ever(port):
    with connect(port) as client:
        client.sendall(POST.replace(b"/machines", b"/nowhere") + b"Content-Length: 1000000000\r\n\r\n")
        began = time.monotonic()
        try:
            while time.monotonic() - began < 5:
                client.sendall(b" " * 65536)
        except OSError:
            pass
        assert time.monotonic() - began < 2


def test_who_asks_again_and_again_over_one_connection_is_not_cut(port):
    with connect(port) as client:
        for _ in range(12):
            client.sendall(GET + b"\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
            time.sleep(0.15)


def test_who_asks_nothing_more_is_hung_up_on(sqlite_database_url, monkeypatch):
    monkeypatch.setattr("machine_monitor.api.serving.server.KEEP_ALIVE_SECONDS", 0.3)
    with threaded(Settings(database_url=sqlite_database_url)) as (_, port), connect(port) as client:
        client.sendall(GET + b"\r\n")
        began = time.monotonic()
        assert rest(client).startswith(b"HTTP/1.1 200")
        assert 0.2 < time.monotonic() - began < 2


@pytest.mark.parametrize("patient", [False, True])
def test_an_answer_that_nobody_takes_is_given_up(sqlite_database_url, monkeypatch, patient):
    monkeypatch.setattr(connections, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(connections, "SEND_TIMEOUT_SECONDS", 60 if patient else 0.3)
    fill(sqlite_database_url, 600, comment="as it was " * 1_500)
    before = cut("answer")
    with threaded(Settings(database_url=sqlite_database_url, head_timeout=0.2)) as (_, port), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.settimeout(15)
        client.sendall(b"GET /logs?limit=500 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        time.sleep(1)
        assert rest(client).endswith(b"}") is patient
    assert cut("answer") == before + (not patient)


def test_a_slow_taker_of_a_long_answer_is_served_to_the_end(sqlite_database_url, monkeypatch):
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


def test_the_newest_displaces_who_has_been_waited_for_longest(sqlite_database_url, monkeypatch):
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    with threaded(Settings(database_url=sqlite_database_url)) as (_, port):
        clients = [connect(port)]
        for said in (GET, POST + b"Content-Length: 10\r\n\r\n", b""):
            time.sleep(0.05)
            clients[-1].sendall(said)
            clients.append(connect(port))
        clients[-1].sendall(GET + b"Connection: close\r\n\r\n")
        assert rest(clients[-1]).startswith(b"HTTP/1.1 200")
        assert rest(clients[0]) == b""
        clients[1].sendall(b'{"name":1}')
        assert rest(clients[1]).startswith(b"HTTP/1.1 422")
        for client in clients:
            client.close()
