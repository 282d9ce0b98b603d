"""Runs the service over real sockets, in a thread or in a process, and sends raw bytes to it."""

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import uvicorn

from forked_processes import ForkedCommand
from machine_monitor.api.app import create_app
from machine_monitor.api.serving import server
from machine_monitor.config import Settings

START_SECONDS = STOP_SECONDS = 60
Process = subprocess.Popen | ForkedCommand


@contextmanager
def threaded(settings: Settings, access_log=None):
    """Serve the application in a thread, open to clients without credentials; yield it and its port."""
    app, port = create_app(settings.model_copy(update={"open": True}), access_log), free_port()
    with run_in_thread(app, port, server.options(settings)):
        yield app, port


@contextmanager
def run_in_thread(app, port: int, options: dict[str, object]):
    """Run uvicorn with these options in a thread, from when it accepts connections to the end of the context."""
    running = uvicorn.Server(uvicorn.Config(app, port=port, **options))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield
    finally:
        running.should_exit = True
        thread.join(STOP_SECONDS)
        assert not thread.is_alive()


class Service:
    """`mm serve` in a separate process, with these settings, open to clients without credentials."""

    def __init__(self, folder: Path, *words: str, **settings: object) -> None:
        self.port = self._free_port()
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

    @staticmethod
    def _free_port() -> int:
        return free_port()

    def _is_ready(self) -> bool:
        return status(self.port, "/readyz") == 200

    def __enter__(self) -> Self:
        end = time.monotonic() + START_SECONDS
        while not self._is_ready():
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
    """A service in a forked process, which starts faster: for tests that start many services."""

    _start = staticmethod(ForkedCommand)


class HttpsService(ForkedService):
    """`mm serve --https`; `context` trusts its certificate authority."""

    def __init__(self, folder: Path, *words: str, **settings: object) -> None:
        self.folder = folder / "certificates"
        super().__init__(folder, "--https", *words, **{"https_folder": self.folder} | settings)

    @staticmethod
    def _free_port() -> int:
        return free_pair()

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.folder / "authority.crt")

    def connect(self, name: str = "localhost") -> ssl.SSLSocket:
        """Open a connection; raises `ssl.SSLError` if the certificate is not valid for this name."""
        return self.context.wrap_socket(connect(self.port), server_hostname=name)

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError), self.connect():
            return True
        return False


def environment(**settings: object) -> dict[str, str]:
    """Return environment variables for a process with exactly these settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MM_")}
    return inherited | {f"MM_{name.upper()}": str(value) for name, value in settings.items()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def free_pair() -> int:
    """Return a free port whose next port is free too."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
            return port


def connect(port: int, seconds: float = 15) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), seconds)


def read_to_end(client: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(1 << 20):
            parts.append(part)
    return b"".join(parts)


def send_raw(port: int, *parts: bytes) -> bytes:
    """Send these bytes and return everything that the server sends until it closes the connection."""
    with connect(port) as client:
        for part in parts:
            client.sendall(part)
        return read_to_end(client)


def status(port: int, path: str) -> int | None:
    """Return the status of a GET, or None if there is no response."""
    try:
        response = send_raw(port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return int(response[9:12])
    except (OSError, ValueError):
        return None
