"""Conditional reads: what has not changed is answered with 304, or with the bytes of an earlier response.

Each write of a record appends an entry to the history, and the hash of an entry covers all entries before it. So the
hash of the last one, the head, names the state of all records. In each state, a response that depends on nothing else
is made once.
See docs/internals/conditional-reads.md.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import sha256
from importlib.metadata import version
from typing import NamedTuple

from fastapi import Request, Response

from machine_monitor.api import responses
from machine_monitor.api.access import caller_of, history_state_of
from machine_monitor.api.deps import is_current
from machine_monitor.api.serving.compression import accepts_gzip
from machine_monitor.api.streaming import FinishedResponse
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.language.summaries import FacetsQuery, StatsQuery
from machine_monitor.query.lists import Page
from machine_monitor.services.records.preconditions import parse_entity_tags

# Larger bodies are not cached: few clients ask for the same one.
MAX_BODY_BYTES = 1024 * 1024
VERSION = version("machine-monitor")


class CachedResponse(NamedTuple):
    """A finished response, compressed if the client wanted that."""

    body: bytes
    headers: list[tuple[bytes, bytes]]


class ResponseCache:
    """The responses that were made in one state of the records, up to `max_bytes`; those used last stay."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._history_state = b""
        self._responses: OrderedDict[tuple[str, bool], CachedResponse] = OrderedDict()
        self._bytes = 0

    def find(self, history_state: bytes, key: tuple[str, bool]) -> CachedResponse | None:
        """Return the response that was made in this state."""
        if history_state != self._history_state or key not in self._responses:
            return None
        self._responses.move_to_end(key)
        return self._responses[key]

    def add(self, history_state: bytes, key: tuple[str, bool], response: CachedResponse) -> None:
        """Keep a response that was made in this state, and forget those of other states."""
        if history_state != self._history_state:
            self._history_state, self._bytes = history_state, 0
            self._responses.clear()
        if len(response.body) > MAX_BODY_BYTES or key in self._responses:
            return
        self._responses[key] = response
        self._bytes += len(response.body)
        while self._bytes > self._max_bytes:
            _, oldest = self._responses.popitem(last=False)
            self._bytes -= len(oldest.body)


class _PreparedResponse(FinishedResponse):
    """A response with the bytes of a cached one."""

    def __init__(self, cached: CachedResponse) -> None:
        super().__init__(cached.body)
        self.raw_headers = [*cached.headers]

    async def compress(self, scope: object) -> None:
        """Nothing to do: the bytes are as the client wants them."""


async def respond_with_page(request: Request, query: ListQuery, fetch: Callable[[], Awaitable[Page]]) -> Response:
    """Respond with the page of a list that `fetch` reads; see `respond`."""

    async def make() -> FinishedResponse:
        return responses.page_response(request, await fetch())

    return await make() if query.depends_on_now else await respond(request, make)


async def respond_with_json(
    request: Request, query: FacetsQuery | StatsQuery, fetch: Callable[[], Awaitable[bytes]]
) -> Response:
    """Respond with the JSON that `fetch` makes; see `respond`."""

    async def make() -> FinishedResponse:
        return responses.json_response(await fetch())

    return await make() if query.depends_on_now else await respond(request, make)


async def respond(request: Request, make: Callable[[], Awaitable[FinishedResponse]]) -> Response:
    """Return 304 if the client has the response, else the cached one, else the one that `make` makes.

    Call this after everything that may refuse the request. The response must not depend on the current time.
    """
    history_state = history_state_of(request)
    tag = f'"{_digest(request, history_state)}"'
    if tag in parse_entity_tags(",".join(request.headers.getlist("if-none-match"))):
        return Response(status_code=304, headers={"ETag": f"W/{tag}", "Vary": "Accept-Encoding"})
    cache: ResponseCache = request.app.state.response_cache
    key = tag, accepts_gzip(request.scope)
    cached = cache.find(history_state, key)
    if cached is None:
        response = await make()
        if not is_current(request):
            # A standby was behind: the response belongs to an earlier state.
            return response
        response.headers["ETag"] = f"W/{tag}"
        await response.compress(request.scope)
        cached = CachedResponse(bytes(response.body), response.raw_headers)
        cache.add(history_state, key, cached)
    return _PreparedResponse(cached)


def _digest(request: Request, history_state: bytes) -> str:
    """Hash all that a response depends on: the state, the program and its zone, the caller's rights, and the URL."""
    caller, scope = caller_of(request), request.scope
    parts = [
        history_state.hex(),
        VERSION,
        request.app.state.settings.zone.key,
        caller.role.name,
        caller.scope.name,
        scope["path"],
        scope["query_string"].decode("latin-1"),
    ]
    return sha256("\n".join(parts).encode()).hexdigest()[:32]
