"""Simple clients that write and read during a fault, and count the statuses of their responses."""

import json
import threading
import time
import uuid
from collections import Counter
from typing import Self

from reliability.clients.http_client import HttpClient, Response

PAUSE_SECONDS = 0.05
TIMEOUT_SECONDS = 30
# The statuses of a successful write. 200 means that an earlier attempt succeeded but its response was lost.
SUCCESS = (200, 201)


class Traffic:
    """Writers that repeat the PUT of a log until it is acknowledged, and readers that list logs.

    The sets contain uuids of logs: `acknowledged` ones, and `rejected` ones, whose last attempt before the end failed.
    The status of a request without a response is None.
    """

    def __init__(self, port: int, *, writers: int = 0, readers: int = 0, comment: str = "as it was") -> None:
        self.port = port
        self.body = json.dumps({"machine": "Saw", "type": "info", "comment": comment}).encode()
        self.write_statuses: Counter[int | None] = Counter()
        self.read_statuses: Counter[int | None] = Counter()
        self.read_seconds: list[float] = []
        self.acknowledged: set[str] = set()
        self.rejected: set[str] = set()
        self.slowest_write_seconds = 0.0
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

    def wait_for(self, more: int, *statuses: int, seconds: float = 60) -> None:
        """Wait until more than `more` further writes have one of these statuses."""
        end, begin = time.monotonic() + seconds, self._count(statuses)
        while self._count(statuses) <= begin + more:
            assert time.monotonic() < end, (self.write_statuses, self.read_statuses)
            time.sleep(PAUSE_SECONDS)

    def _count(self, statuses: tuple[int, ...]) -> int:
        return sum(self.write_statuses[status] for status in statuses)

    def _write(self) -> None:
        with HttpClient(self.port) as http:
            while not self._stopped.is_set():
                self._put(http, str(uuid.uuid4()))

    def _put(self, http: HttpClient, key: str) -> None:
        while True:
            began = time.monotonic()
            status = _status(http.try_send("PUT", f"/logs/{key}", self.body))
            self.slowest_write_seconds = max(self.slowest_write_seconds, time.monotonic() - began)
            self.write_statuses[status] += 1
            if status in SUCCESS:
                self.acknowledged.add(key)
                return
            if self._stopped.is_set():
                self.rejected.add(key)
                return
            time.sleep(PAUSE_SECONDS)

    def _read(self) -> None:
        with HttpClient(self.port) as http:
            while not self._stopped.is_set():
                began = time.monotonic()
                self.read_statuses[_status(http.try_send("GET", "/logs?limit=50"))] += 1
                self.read_seconds.append(time.monotonic() - began)
                time.sleep(PAUSE_SECONDS)


def _status(response: Response | None) -> int | None:
    return response.status if response else None


def stored_uuids(port: int) -> set[str]:
    """Return the uuids of all logs; retry while the limit of concurrent downloads is reached."""
    end = time.monotonic() + TIMEOUT_SECONDS
    with HttpClient(port) as http:
        while (response := http.send("GET", "/logs.ndjson?fields=uuid")).status == 503 and time.monotonic() < end:
            time.sleep(PAUSE_SECONDS)
    assert response.status == 200
    return {json.loads(line)["uuid"] for line in response.body.splitlines()}


def status_of(port: int, path: str) -> int:
    """Return the status of a GET."""
    with HttpClient(port) as http:
        return http.send("GET", path).status


def add_machine(port: int) -> None:
    """Create the machine that the writers' logs refer to."""
    with HttpClient(port) as http:
        assert http.send("PUT", "/machines/Saw", {}).status in (200, 201)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
