"""An HTTP client for tests that kill the service: it does not treat a broken connection as an error."""

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

JSON = {"Content-Type": "application/json"}
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]  # by lower-case name
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class HttpClient:
    """One connection to a local port, which reconnects after it breaks.

    Without credentials, `address` (of 127.0.0.0/8) is the user that the service sees.
    """

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self._port = port
        self._address = address
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def try_send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Response | None:
        """Send a request; return None if the connection breaks before the response is complete."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(
                    "127.0.0.1", self._port, timeout=TIMEOUT_SECONDS, source_address=(self._address, 0)
                )
            self._connection.request(method, path, body, {**(JSON if body is not None else {}), **(headers or {})})
            response = self._connection.getresponse()
            return Response(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except (OSError, http.client.HTTPException):
            self.close()
            return None

    def send(self, method: str, path: str, document: Any = None, **headers: str) -> Response:
        """Send a request that must get a response; `_` in the name of a header stands for `-`."""
        body = None if document is None else json.dumps(document).encode()
        response = self.try_send(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        assert response is not None, (method, path)
        return response

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the JSON of a GET, which must respond with 200."""
        response = self.send("GET", f"{path}?{urlencode(parameters)}")
        assert response.status == 200, response.body
        return response.json

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
