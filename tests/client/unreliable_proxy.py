"""A TCP proxy before the service that loses responses or sends its own, as a test asks it to."""

import contextlib
import json
import socket
import threading
from typing import Self

from servers import connect

LOSE = "lose"


def refusal(status: int, retry_after: int) -> bytes:
    """Return a response with a problem, as the service sends it when it is busy."""
    code = {429: "rate-limited", 503: "database-busy"}[status]
    body = json.dumps({"status": status, "code": code, "detail": "Later."}).encode()
    head = (
        f"HTTP/1.1 {status} x\r\nRetry-After: {retry_after}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


class UnreliableProxy:
    """Each connection takes one step of the script: LOSE its response, or give these bytes instead of asking.

    When the script has ended, requests and responses pass. `requests` counts the requests that came.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.script: list[str | bytes] = []
        self.requests = 0
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                opened, _ = self._listener.accept()
            except OSError:
                return
            # A client may end its connection at any time; the next one is served all the same.
            with opened, contextlib.suppress(OSError):
                opened.settimeout(15)
                self._answer(opened)

    def _answer(self, opened: socket.socket) -> None:
        """Answer one request; the connection ends with it, so that the next request takes the next step."""
        request = _read_message(opened)
        self.requests += 1
        step = self.script.pop(0) if self.script else None
        if isinstance(step, bytes):
            opened.sendall(step)
            return
        with connect(self._target) as service:
            service.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            response = b"".join(iter(lambda: service.recv(1 << 16), b""))
        if step != LOSE:
            opened.sendall(response)


def _read_message(opened: socket.socket) -> bytes:
    """Read a request: its head, and as many bytes as its Content-Length says."""
    message = b""
    while b"\r\n\r\n" not in message:
        message += _receive(opened)
    head, _, body = message.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    while len(body) < int(lengths[0] if lengths else 0):
        body += _receive(opened)
    return head + b"\r\n\r\n" + body


def _receive(opened: socket.socket) -> bytes:
    """Receive bytes; raises `ConnectionError` if the client has closed the connection."""
    received = opened.recv(1 << 16)
    if not received:
        raise ConnectionError("The client closed the connection within a request.")
    return received
