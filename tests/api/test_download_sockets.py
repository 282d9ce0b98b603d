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


@pytest.fixture
def app_and_port(sqlite_database_url, unused_tcp_port, monkeypatch):
    """An application app_and_port in a thread, and its port."""
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
def test_a_response_is_aborted_only_if_the_client_stalls_longer_than_the_send_timeout(
    app_and_port, monkeypatch, send_timeout
):
    monkeypatch.setattr(streaming, "SEND_TIMEOUT_SECONDS", send_timeout)
    app, port = app_and_port
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /logs.ndjson HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        # Stall for a second: longer than the short timeout, shorter than the long one.
        time.sleep(1)
        running, _ = app.state.database.utilization()["stream"]
        body = b"".join(iter(lambda: client.recv(1 << 20), b""))
    if send_timeout < 1:
        assert (running, body.endswith(b"0\r\n\r\n")) == (0, False)
    else:
        assert (running, body.endswith(b"0\r\n\r\n")) == (1, True)
