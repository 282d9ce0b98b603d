"""Clients that write and read over sockets while something fails, and what they were answered."""

import http.client
import json
import threading
import time
import uuid
from collections import Counter
from typing import Self

JSON = {"Content-Type": "application/json"}
PAUSE_SECONDS = 0.05


class Traffic:
    """Writers that put logs under uuids of their own until each is acknowledged, and readers that list them."""

    def __init__(self, port: int, *, writers: int = 0, readers: int = 0, comment: str = "as it was") -> None:
        self.port = port
        self.body = json.dumps({"machine": "Saw", "type": "info", "comment": comment})
        self.written: Counter[int | None] = Counter()
        self.read: Counter[int | None] = Counter()
        self.read_seconds: list[float] = []
        self.acknowledged: set[str] = set()
        self.refused: set[str] = set()
        self.slowest = 0.0
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._write) for _ in range(writers)]
        self._threads += [threading.Thread(target=self._read) for _ in range(readers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def wait(self, condition, seconds: float) -> None:
        """Wait until the traffic is as it should be."""
        end = time.monotonic() + seconds
        while not condition(self):
            assert time.monotonic() < end, (self.written, self.read)
            time.sleep(PAUSE_SECONDS)

    def _write(self) -> None:
        with Client(self.port) as client:
            while not self._stopped.is_set():
                self._put(client, str(uuid.uuid4()))

    def _put(self, client: "Client", key: str) -> None:
        while True:
            began = time.monotonic()
            status = client.ask("PUT", f"/logs/{key}", self.body)
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.written[status] += 1
            if status in (200, 201):
                self.acknowledged.add(key)
                return
            if self._stopped.is_set():
                self.refused.add(key)
                return
            time.sleep(PAUSE_SECONDS)

    def _read(self) -> None:
        with Client(self.port) as client:
            while not self._stopped.is_set():
                began = time.monotonic()
                self.read[client.ask("GET", "/logs?limit=50")] += 1
                self.read_seconds.append(time.monotonic() - began)
                time.sleep(PAUSE_SECONDS)


class Client:
    """One connection, opened again when it breaks."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None
        self.body = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, method: str, path: str, body: str | None = None) -> int | None:
        """The status of the answer; None if there was none."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            self._connection.request(method, path, body, JSON if body else {})
            answer = self._connection.getresponse()
            self.body = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        return answer.status

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def stored(port: int) -> set[str]:
    """The uuids of all logs."""
    with Client(port) as client:
        assert client.ask("GET", "/logs.ndjson?fields=uuid") == 200
    return {json.loads(line)["uuid"] for line in client.body.splitlines()}


def ask(port: int, question: str) -> int | None:
    """The status of a GET."""
    with Client(port) as client:
        return client.ask("GET", question)


def add_machine(port: int) -> None:
    """What the writers write about."""
    with Client(port) as client:
        assert client.ask("PUT", "/machines/Saw", "{}") in (200, 201)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
