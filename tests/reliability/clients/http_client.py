"""An HTTP client for tests in which the service may die: a broken connection is not an error."""

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

JSON = {"Content-Type": "application/json"}
SECONDS = 30


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class HttpClient:
    """One connection to a local port, which reconnects after it breaks."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def try_send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer | None:
        """Send a request; return None if the connection breaks before the response is complete."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
            self._connection.request(method, path, body, {**(JSON if body is not None else {}), **(headers or {})})
            answer = self._connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        except (OSError, http.client.HTTPException):
            self.close()
            return None

    def send(self, method: str, path: str, document: Any = None, **headers: str) -> Answer:
        """Send a request that must get a response; `_` in the name of a header stands for `-`."""
        body = None if document is None else json.dumps(document).encode()
        answer = self.try_send(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        assert answer is not None, (method, path)
        return answer

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the JSON of a GET, which must respond with 200."""
        answer = self.send("GET", f"{path}?{urlencode(parameters)}")
        assert answer.status == 200, answer.body
        return answer.json

    def walk(self, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield every record of a list, page by page."""
        page = self.get(path, limit=500, **parameters)
        yield from page["items"]
        while page["next"] is not None:
            page = self.get(path, limit=500, cursor=page["next"], **parameters)
            yield from page["items"]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
