"""Writers that use every write operation, remember all responses, and repeat requests that got no response."""

import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from reliability.clients.http_client import HttpClient, Response

# The fields of a log that change when any writer renames its machine.
CHANGED_BY_RENAME = {"machine", "version", "updated_at"}
BULK_ITEMS = 4
DELETED: dict[str, Any] = {}
# After one of these statuses on a retry, it is unknown whether the first attempt succeeded. For example, a PUT that
# succeeded is rejected on retry if its machine has been renamed meanwhile.
AMBIGUOUS_STATUSES = {409, 422}


@dataclass(frozen=True)
class Request:
    """A write request, a callback for its response, and the statuses that are valid at first and on a retry."""

    method: str
    path: str
    document: Any
    on_response: Callable[[Response], None]
    statuses: tuple[int, ...]
    retry_statuses: tuple[int, ...]
    paths: tuple[str, ...]
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, http: HttpClient) -> Response | None:
        body = None if self.document is None else json.dumps(self.document).encode()
        return http.try_send(self.method, self.path, body, self.headers)


class Writer:
    """Writes logs of all machines, and renames its own machine; `expected` holds acknowledged records by path."""

    def __init__(self, number: int, machines: dict[int, str]) -> None:
        self.number = number
        self.machines = machines
        self.random = random.Random(number)
        self.expected: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, int] = {}
        self.unanswered: Request | None = None
        self.statuses: Counter[int] = Counter()
        self.retries = self.acknowledged = 0
        self.unexpected: list[Any] = []
        self._count = 0

    def write_until(self, port: int, stopped: threading.Event) -> None:
        """Send one write after another; retry those without a response and those with 503."""
        with HttpClient(port) as http:
            while not stopped.is_set():
                self.send_one(http)

    def send_one(self, http: HttpClient) -> None:
        """Send a new write, or retry the one that got no response."""
        is_retry, request = self.unanswered is not None, self.unanswered or self._next_request()
        response = request.send(http)
        self.unanswered = request
        self.retries += is_retry
        if response is None or response.status == 503:
            self.statuses[response.status if response else 0] += 1
            time.sleep(0.02)
            return
        self.statuses[response.status] += 1
        if response.status not in (request.retry_statuses if is_retry else request.statuses):
            self.unexpected.append((is_retry, request, response))
        self.unanswered = None
        if response.status < 300:
            self.acknowledged += 1
        if is_retry and response.status in AMBIGUOUS_STATUSES:
            for path in request.paths:
                self.expected.pop(path, None)
        else:
            request.on_response(response)

    def differences(self, found: dict[str, dict[str, Any]]) -> list[str]:
        """Return acknowledged records that differ from `found`: all records, with `DELETED` for deleted logs."""
        uncertain = self.unanswered.paths if self.unanswered else ()
        return [
            f"{path}: {found.get(path)} is not {expected}"
            for path, expected in self.expected.items()
            if path not in uncertain and not _agrees(found.get(path), expected)
        ]

    def _next_request(self) -> Request:
        existing = [path for path, expected in self.expected.items() if expected and path.startswith("/logs/")]
        deleted = [path for path, expected in self.expected.items() if expected is DELETED]
        kinds: list[tuple[int, Callable[[], Request]]] = [(4, self._post), (3, self._put_new), (1, self._rename)]
        kinds += [(1, self._bulk), (2, self._create)]
        if existing:
            log = self.random.choice(existing)
            kinds += [(4, lambda: self._patch(log)), (2, lambda: self._put(log)), (2, lambda: self._delete(log))]
        if deleted:
            deleted_log = self.random.choice(deleted)
            kinds.append((3, lambda: self._restore(deleted_log)))
        weights, makers = zip(*kinds, strict=True)
        return self.random.choices(makers, weights)[0]()

    def _log(self) -> dict[str, Any]:
        """Return the body of a log with a unique comment."""
        self._count += 1
        comment = f"writer {self.number} wrote {self._count}"
        return {"machine": self.random.choice([*self.machines.values()]), "type": "info", "comment": comment}

    def _idempotency_key(self) -> dict[str, str]:
        return {"Idempotency-Key": str(uuid.UUID(int=self.random.getrandbits(128), version=4))}

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def _post(self) -> Request:
        def on_response(response: Response) -> None:
            if response.status == 201:
                self._expect(response.headers["location"], response)

        # 422: another writer may have renamed the machine.
        return Request("POST", "/logs", self._log(), on_response, (201, 422), (201, 422), (), self._idempotency_key())

    def _put_new(self) -> Request:
        return self._put(f"/logs/{self._uuid()}")

    def _put(self, path: str) -> Request:
        def on_response(response: Response) -> None:
            if response.status in (200, 201):
                self._expect(path, response)

        return Request("PUT", path, self._log(), on_response, (200, 201, 422), (200, 201, 422), (path,))

    def _patch(self, path: str) -> Request:
        comment = {"comment": self._log()["comment"]}

        def on_response(response: Response) -> None:
            if response.status == 200:
                self._expect(path, response)
                return
            # 412: a rename has increased the version, or an earlier attempt succeeded.
            current = response.json["current"]
            self.versions[path] = current["version"]
            if current["comment"] == comment["comment"]:
                self.expected[path] = _unaffected_by_rename(current)

        headers = {"If-Match": f'"{self.versions[path]}"'}
        return Request("PATCH", path, comment, on_response, (200, 412), (200, 412), (path,), headers)

    def _delete(self, path: str) -> Request:
        def on_response(_: Response) -> None:
            self.expected[path] = DELETED

        return Request("DELETE", path, None, on_response, (204,), (204, 410), (path,))

    def _restore(self, path: str) -> Request:
        def on_response(response: Response) -> None:
            if response.status == 200:
                self._expect(path, response)

        return Request("POST", f"{path}/restore", None, on_response, (200,), (200, 409), (path,))

    def _bulk(self) -> Request:
        items = [{**self._log(), "uuid": self._uuid()} for _ in range(BULK_ITEMS)]
        paths = tuple(f"/logs/{item['uuid']}" for item in items)

        def on_response(response: Response) -> None:
            if response.status == 200:
                for path, item in zip(paths, items, strict=True):
                    self.expected[path] = {"comment": item["comment"], "uuid": item["uuid"]}
                    self.versions[path] = 1

        return Request(
            "POST", "/logs/bulk", {"items": items}, on_response, (200, 422), (200, 422), paths, self._idempotency_key()
        )

    def _rename(self) -> Request:
        old, new = self.machines[self.number], f"{self._log()['comment']} 100%"

        def on_response(response: Response) -> None:
            self.machines[self.number] = new
            self.expected.pop(_machine_path(old), None)
            if response.status == 200:
                self.expected[_machine_path(new)] = response.json

        paths = (_machine_path(old), _machine_path(new))
        return Request("PATCH", paths[0], {"name": new}, on_response, (200,), (200, 404), paths)

    def _create(self) -> Request:
        self._count += 1
        key = f"W{self.number}-{self._count}"
        collection, body = self.random.choice([
            ("/machines", {"name": f"Small {key}"}), ("/log-types", {"code": key}), ("/users", {"trigram": key})
        ])  # fmt: skip

        def on_response(response: Response) -> None:
            self.expected[response.headers["location"]] = response.json

        return Request("POST", collection, body, on_response, (201,), (201,), (), self._idempotency_key())

    def _expect(self, path: str, response: Response) -> None:
        self.expected[path] = _unaffected_by_rename(response.json)
        self.versions[path] = response.json["version"]


def _unaffected_by_rename(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in CHANGED_BY_RENAME}


def _agrees(found: dict[str, Any] | None, expected: dict[str, Any]) -> bool:
    if found is None or not expected or not found:
        return found is not None and found == expected
    return {name: found[name] for name in expected} == expected


def _machine_path(name: str) -> str:
    return f"/machines/{quote(name, safe='')}"
