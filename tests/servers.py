"""Services over sockets: one in a thread of this process, one as people start it; and a client that says any bytes."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import uvicorn

from machine_monitor.api.app import create_app
from machine_monitor.api.serving import server
from machine_monitor.config import Settings
from processes import Forked

START_SECONDS = 60
Process = subprocess.Popen | Forked


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
        command = ["serve", "--port", str(self.port), *words]
        self.process = self._start(command, folder, environment(**{"open": True} | settings), self.log)

    @staticmethod
    def _start(words: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> Process:
        with log.open("w") as opened:
            return subprocess.Popen(
                [sys.executable, "-m", "machine_monitor.cli.main", *words],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=opened,
                stderr=opened,
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


class ForkedService(Service):
    """The same, there sooner: for tests that start many."""

    _start = staticmethod(Forked)


def environment(**settings: object) -> dict[str, str]:
    """The environment of a process with these settings and no others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MM_")}
    return inherited | {f"MM_{name.upper()}": str(value) for name, value in settings.items()}


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
