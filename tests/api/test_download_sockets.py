"""Downloads over a real socket, where a client may be slower than the server."""

import asyncio
import socket
import threading
import time

import pytest
import uvicorn

from api.paced_client import fill
from machine_monitor.api import streaming
from machine_monitor.api.app import create_app
from machine_monitor.config import Settings
from machine_monitor.database import streams


@pytest.fixture
def served(sqlite_database_url, unused_tcp_port, monkeypatch):
    """An application served in a thread, and its port."""
    monkeypatch.setattr("machine_monitor.database.engines.sqlite.driver.FETCH_SIZE", 10)
    fill(sqlite_database_url, 600, comment="as it was " * 1_500)
    app = create_app(Settings(database_url=sqlite_database_url, open=True))
    server = uvicorn.Server(uvicorn.Config(app, port=unused_tcp_port, log_level="critical", access_log=False))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        assert thread.is_alive()
    yield app, unused_tcp_port
    server.should_exit = True
    thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("send_timeout", [0.2, 60])
def test_a_stalled_client_gets_an_aborted_response_and_a_reading_client_a_complete_one(
    served, monkeypatch, send_timeout
):
    monkeypatch.setattr(streaming, "SEND_TIMEOUT_SECONDS", send_timeout)
    app, port = served
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /logs.ndjson HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        time.sleep(1)
        waiting = app.state.database._streams._slots._value
        body = b"".join(iter(lambda: client.recv(1 << 20), b""))
    if send_timeout < 1:
        assert (waiting, body.endswith(b"0\r\n\r\n")) == (streams.MAX_STREAMS, False)
    else:
        assert (waiting, body.endswith(b"0\r\n\r\n")) == (streams.MAX_STREAMS - 1, True)
