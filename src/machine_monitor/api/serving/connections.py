"""Connections that a slow, silent or greedy client cannot keep: uvicorn's own, with a clock."""

import asyncio
import secrets
import sys
from dataclasses import dataclass
from enum import Enum
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from machine_monitor.api import problems
from machine_monitor.api.route import MAX_URL
from machine_monitor.api.serving import headers, metrics
from machine_monitor.errors import BadRequest, Problem, UriTooLong

if sys.platform != "win32":
    import resource

# Bytes and fields of a request's head; the parser itself takes any number.
MAX_HEAD = 64 * 1024
MAX_FIELDS = 100
MAX_CONNECTIONS = 1_000
# Files that the process needs beside its connections: the database's, the log, the libraries'.
RESERVED_FILES = 128
# A body has this much more time for each second's worth that came: 16 KiB/s is the slowest link that is served.
BYTES_PER_SECOND = 16 * 1024
# How long a client may leave an answer untaken; that of downloads too.
UNTAKEN_SECONDS = 60.0
LOOK_SECONDS = 1.0


class Phase(Enum):
    """What the client has to send next."""

    IDLE = 0
    HEAD = 1
    BODY = 2


@dataclass(frozen=True)
class Bounds:
    """How long a client may take for a request's head and for its body, in seconds."""

    head: float
    body: float


class Connection(HttpToolsProtocol):
    """One connection; cut when its client is too slow, or when there are too many and it is not being served.

    Costs nothing while nobody is slow: no timer is set for a request, one looks each second while something is due.
    """

    def __init__(self, *arguments: Any, bounds: Bounds, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.url, self.headers = b"", []
        self.waiting_since = self._phase_began = self.loop.time()
        self._bounds = bounds
        self._phase = Phase.HEAD
        self._size = self._arrived = 0
        self._is_last = False
        self._untaken = 0
        self._untaken_since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_answering(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def is_waiting(self) -> bool:
        """Whether it is the client's turn: no request is being answered, or its body is not there yet."""
        return self._phase is Phase.BODY or not self.is_answering

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for a request; if there are too many, whoever has been waited for longest has to go."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > _most():
            waiting = [each for each in self.connections if isinstance(each, Connection) and each.is_waiting]
            min(waiting, key=lambda each: each.waiting_since).cut("crowd")

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def cut(self, reason: str) -> None:
        """End the connection at once, and count it."""
        metrics.CUT.labels(reason).inc()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head without an end is refused before it fills the memory."""
        if self._phase is Phase.IDLE:
            self._enter(Phase.HEAD)
        if self._timer is None:
            self._watch()
        self._arrived = len(data)
        super().data_received(data)
        if self._phase is Phase.HEAD:
            self._size += len(data)
            if self._size > MAX_HEAD and not self.transport.is_closing():
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a head."""
        super().on_message_begin()
        self._enter(Phase.HEAD)

    def on_headers_complete(self) -> None:
        """Begin to wait for the body; without one the parser goes on to `on_message_complete` at once."""
        if self._is_too_large():
            raise httptools.HttpParserError
        super().on_headers_complete()
        self._enter(Phase.BODY)
        # Until the body is there: who is still sending when the connection closes does not get to read the answer.
        self._is_last, self.cycle.keep_alive = not self.cycle.keep_alive, True

    def on_body(self, body: bytes) -> None:
        """Count what came."""
        self._size += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for nothing while the request is answered."""
        super().on_message_complete()
        self._enter(Phase.IDLE)
        if self._is_last:
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self.waiting_since = self.loop.time()

    def pause_writing(self) -> None:
        """See to it that an answer is taken."""
        super().pause_writing()
        self._untaken, self._untaken_since = 0, self.loop.time()
        if self._timer is None:
            self._watch()

    def timeout_keep_alive_handler(self) -> None:
        """Hang up on who asks nothing more; what they do not take of the last answer would keep the connection."""
        super().timeout_keep_alive_handler()
        if not self.flow.write_paused:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- one sentence of uvicorn's for every fault
        """Answer what is no request with a problem, once the requests before it are answered, and hang up."""
        if self._phase is not Phase.BODY and self.is_answering:
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        if not (self.pipeline or (self.is_answering and self.cycle.response_started)):
            self.transport.write(_answer(self._fault(), self.server_state.default_headers))
        self.transport.close()

    def _is_too_large(self) -> bool:
        # Most heads are known to be small by what arrived of them.
        if len(self.headers) <= MAX_FIELDS and self._size + self._arrived <= MAX_HEAD:
            return False
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        return len(self.headers) > MAX_FIELDS or size > MAX_HEAD

    def _fault(self) -> Problem:
        if len(self.url) > MAX_URL:
            return UriTooLong()
        if self._size > MAX_HEAD or self._is_too_large():
            return BadRequest(f"The head of a request has at most {MAX_HEAD} bytes and {MAX_FIELDS} fields.")
        return BadRequest()

    def _enter(self, phase: Phase) -> None:
        self._phase, self._phase_began, self._size = phase, self.loop.time(), 0

    def _watch(self) -> None:
        self._timer = self.loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        reason = self._overdue(self.loop.time())
        if reason is not None:
            self.cut(reason)
        elif self._phase is not Phase.IDLE or self.flow.write_paused:
            self._watch()

    def _overdue(self, now: float) -> str | None:
        """Why the client has waited too long, if it has."""
        waited = now - self._phase_began
        if self.flow.write_paused:
            untaken = self.transport.get_write_buffer_size()
            if untaken != self._untaken:
                self._untaken, self._untaken_since = untaken, now
            return "answer" if now - self._untaken_since > UNTAKEN_SECONDS else None
        if self.flow.read_paused:
            # It is the client who waits.
            self._phase_began = now
            return None
        if self._phase is Phase.HEAD:
            return "head" if waited > self._bounds.head and not self.is_answering else None
        # Who has been answered sends for nothing: more of it buys no more time.
        bought = self._size / BYTES_PER_SECOND if self.is_answering else 0.0
        return "body" if self._phase is Phase.BODY and waited > self._bounds.body + bought else None


def _most() -> int:
    """How many connections the process may have: as many as it may open files, less what it needs itself."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MAX_CONNECTIONS, max(files - RESERVED_FILES, 1))


def _answer(problem: Problem, standing: list[tuple[bytes, bytes]]) -> bytes:
    request_id = secrets.token_hex(8)
    answer = problems.render(problem, "", request_id)
    lines = [*standing, *headers.complete(answer.raw_headers, request_id), (b"connection", b"close")]
    fields = b"".join(b"%s: %s\r\n" % line for line in lines)
    return STATUS_LINE[problem.status] + fields + b"\r\n" + bytes(answer.body)
