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
from machine_monitor.api.access import caller_of, history_state_of, last_authenticated, user_of
from machine_monitor.api.deps import ListQueryReader, is_current
from machine_monitor.api.serving.compression import accepts_gzip
from machine_monitor.api.streaming import FinishedResponse
from machine_monitor.database.connect import Database
from machine_monitor.database.statements import Prefetch
from machine_monitor.query import lists
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.language.summaries import FacetsQuery, StatsQuery
from machine_monitor.query.lists import Page
from machine_monitor.services.access.authentication import Authenticated
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


def prefetch_for(request: Request, reader: ListQueryReader) -> Prefetch | None:
    """Return the query of the page that the request asks for, if it can be sent together with the authentication."""
    database: Database = request.app.state.database
    last = last_authenticated(request) if database.can_prefetch else None
    if last is None or (query := reader.read_early(request)) is None:
        return None
    bound = lists.find_bound(database.engine, query)
    if bound is None:
        return None
    is_known = not query.depends_on_now and _find(request, last.history_state, _tag(request, last)) is not None
    return Prefetch(user_of(request, last.caller), *bound, last.history_state if is_known else b"")


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
    tag = _tag(request, Authenticated(caller_of(request), history_state))
    found = _find(request, history_state, tag)
    if found is not None:
        return found
    response = await make()
    if not is_current(request):
        # A standby was behind: the response belongs to an earlier state.
        return response
    response.headers["ETag"] = f"W/{tag}"
    await response.compress(request.scope)
    made = CachedResponse(bytes(response.body), response.raw_headers)
    cache: ResponseCache = request.app.state.response_cache
    cache.add(history_state, (tag, accepts_gzip(request.scope)), made)
    return _PreparedResponse(made)


def _find(request: Request, history_state: bytes, tag: str) -> Response | None:
    """Return 304 if the client has the response with this tag, or the cached one, which was made in this state."""
    if tag in parse_entity_tags(",".join(request.headers.getlist("if-none-match"))):
        return Response(status_code=304, headers={"ETag": f"W/{tag}", "Vary": "Accept-Encoding"})
    cache: ResponseCache = request.app.state.response_cache
    cached = cache.find(history_state, (tag, accepts_gzip(request.scope)))
    return None if cached is None else _PreparedResponse(cached)


def _tag(request: Request, authenticated: Authenticated) -> str:
    """Hash all that a response depends on: the state, the program and its zone, the caller's rights, and the URL."""
    (caller, history_state), scope = authenticated, request.scope
    parts = [
        history_state.hex(),
        VERSION,
        request.app.state.settings.zone.key,
        caller.role.name,
        caller.scope.name,
        scope["path"],
        scope["query_string"].decode("latin-1"),
    ]
    digest = sha256("\n".join(parts).encode()).hexdigest()
    return f'"{digest[:32]}"'
