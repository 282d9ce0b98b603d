"""Sends requests, and repeats them while the service restarts, is busy or asks to wait."""

import json
import logging
import random
import ssl
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from uuid import UUID

import httpx2

from machine_monitor.client.errors import BY_CODE, ClientError, Problem, Unavailable
from machine_monitor.client.lists import Pairs

# The connection was refused, was lost, or nothing came in time. A retry would not help with other errors.
LOST = (httpx2.NetworkError, httpx2.TimeoutException, httpx2.RemoteProtocolError)
FIRST_PAUSE = 0.1
MAX_PAUSE = 5.0
NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout)
REPEATABLE_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE"})
READ_AFTER = "X-Read-After"
REPEATABLE_WITH = frozenset({"Idempotency-Key", "If-Match"})

logger = logging.getLogger("machine_monitor.client")


class HighestPosition:
    """The highest position of the service's database that its responses have named; threads share it."""

    def __init__(self) -> None:
        self.value = ""
        self._lock = threading.Lock()

    def advance(self, position: str) -> None:
        """Take a position, two hexadecimal numbers with a slash between them, if it is higher than those before."""
        with self._lock:
            self.value = max(self.value, position, key=lambda each: [int(part or "0", 16) for part in each.split("/")])


class Transport:
    """A connection pool to one service, with its token; repeats a request for up to `patience` seconds."""

    def __init__(
        self, url: str, token: str, verify: ssl.SSLContext | Literal[True], timeout: float, patience: float
    ) -> None:
        self._patience = patience
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        # Where a standby answers reads, it must have what this client has written.
        self._read_after = HighestPosition()
        self._http = httpx2.Client(base_url=url, headers=headers, verify=verify, timeout=timeout)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def request(self, method: str, path: str, params: Pairs, headers: Mapping[str, str], body: Any) -> Any:
        """Send a request and return the JSON of its response, or None if it has no body.

        A request that is safe to repeat is repeated after a lost connection and after a proxy's failure; each request
        is repeated after 429 and 503. Raises `Problem` or `Unavailable`.
        """
        content = None if body is None else encode_json(body)
        typed = {} if body is None else {"Content-Type": "application/json"}
        request = self._http.build_request(
            method, path, params=tuple(params), headers={**headers, **typed}, content=content
        )
        response = self._send(request, is_repeatable=method in REPEATABLE_METHODS or bool(REPEATABLE_WITH & {*headers}))
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise ClientError(f"{request.url} did not answer with JSON: is it the URL of the service?") from None

    @contextmanager
    def stream_lines(self, path: str) -> Generator[Iterator[str]]:
        """Open a stream of server-sent events and give its lines."""
        response = self._send(self._http.build_request("GET", path), is_repeatable=True, is_stream=True)
        try:
            yield response.iter_lines()
        except LOST as error:
            raise Unavailable(f"The stream {response.url} was interrupted: {_reason(error)}.") from error
        finally:
            response.close()

    def _send(self, request: httpx2.Request, *, is_repeatable: bool, is_stream: bool = False) -> httpx2.Response:
        end, pause, attempts = time.monotonic() + self._patience, FIRST_PAUSE, 0
        while True:
            attempts += 1
            wait = pause
            if request.method == "GET" and (position := self._read_after.value):
                request.headers[READ_AFTER] = position
            try:
                response = self._http.send(request, stream=is_stream)
                self._read_after.advance(response.headers.get(READ_AFTER, ""))
                if response.is_success:
                    return response
                response.read()
            except LOST as error:
                failure: Problem | Unavailable = Unavailable(f"No response from {request.url}: {_reason(error)}.")
                failure.__cause__ = error
                may_repeat = (is_repeatable or isinstance(error, NOT_SENT)) and not is_about_tls(error)
            except httpx2.HTTPError as error:
                raise ClientError(f"The request to {request.url} cannot be sent: {_reason(error)}.") from error
            else:
                failure = problem_of(response)
                failure.was_repeated = attempts > 1
                may_repeat = failure.is_temporary and (is_repeatable or failure.is_from_service)
                wait = max(pause, failure.retry_after or 0)
            if not may_repeat or time.monotonic() + wait > end:
                raise failure
            logger.warning("%s The request is repeated in %.1f seconds.", failure, wait)
            time.sleep(wait)
            pause = min(2 * pause, MAX_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311 -- spreads clients, keeps no secret


def encode_json(body: Any) -> bytes:
    """Encode a body, the same bytes for the same values; raises `ValueError` for NaN and infinity."""
    return json.dumps(body, default=_json_default, sort_keys=True, allow_nan=False).encode()


def problem_of(response: httpx2.Response) -> Problem:
    """Return the problem of a response; the response of a proxy has no problem document."""
    try:
        document = response.json()
    except ValueError:
        document = {}
    document = document if isinstance(document, dict) else {}
    kind = BY_CODE.get(str(document.get("code")), Problem)
    return kind(response.status_code, document, retry_after=_seconds(response.headers.get("Retry-After")))


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After header, which is a number or a date."""
    if retry_after is None:
        return None
    try:
        if retry_after.isdecimal():
            return float(retry_after)
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None


def _json_default(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON.")


def is_about_tls(error: BaseException) -> bool:
    """Return whether a connection failed because of its certificate or protocol, which a repetition does not change."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    # A service that stops during the handshake ends the connection.
    return cause is not None and not isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError))


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
