"""Services over sockets: one in a thread of this process, one as people start it; and a client that says any bytes."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import uvicorn

from machine_monitor.api.app import create_app
from machine_monitor.api.serving import server
from machine_monitor.config import Settings

START_SECONDS = 30


@contextmanager
def threaded(settings: Settings, tell=None):
    """The application and its port, served in a thread; anyone may read and write."""
    app, port = create_app(settings.model_copy(update={"open": True}), tell), free_port()
    running = uvicorn.Server(uvicorn.Config(app, port=port, **server.options(settings)))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield app, port
    finally:
        running.should_exit = True
        thread.join()


class Service:
    """`mm serve` with these settings, in a process of its own; anyone may read and write."""

    def __init__(self, folder: Path, *words: str, **settings: object) -> None:
        self.port = free_port()
        self.log = folder / f"log-{self.port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MM_")}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "machine_monitor.cli.main", "serve", "--port", str(self.port), *words],
                cwd=folder,
                env={
                    **inherited,
                    **{f"MM_{name.upper()}": str(value) for name, value in ({"open": True} | settings).items()},
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        end = time.monotonic() + START_SECONDS
        while status(self.port, "/readyz") != 200:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(port: int, seconds: float = 15) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), seconds)


def rest(client: socket.socket) -> bytes:
    """Everything until the server hangs up."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(1 << 20):
            parts.append(part)
    return b"".join(parts)


def say(port: int, *parts: bytes) -> bytes:
    """What is answered to these bytes until the server hangs up."""
    with connect(port) as client:
        for part in parts:
            client.sendall(part)
        return rest(client)


def status(port: int, path: str) -> int | None:
    """The status of a GET; None if nobody answers."""
    try:
        answer = say(port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return int(answer[9:12])
    except (OSError, ValueError):
        return None
