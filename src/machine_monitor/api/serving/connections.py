"""HTTP connections with timeouts and limits, so that slow or idle clients (slowloris) cannot exhaust the server.

A subclass of uvicorn's protocol, which has no timeout for the head or the body of a request. That class is not
documented. So pyproject.toml admits only releases like the tested one, and a test names the attributes that a new one
lacks.
"""

import asyncio
import secrets
import sys
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from machine_monitor.api import problems
from machine_monitor.api.middleware import ProblemMiddleware, RequestMiddleware
from machine_monitor.api.route import MAX_URL
from machine_monitor.api.serving import headers, metrics, stream_limits
from machine_monitor.errors import BadRequest, Problem, UriTooLong

if sys.platform != "win32":
    import resource

# Maximum bytes and fields of a request's head; httptools itself has no limit.
MAX_HEADER_BYTES = 64 * 1024
MAX_HEADER_FIELDS = 100
MAX_CONNECTIONS = 1_000
# File descriptors reserved for the database, the log and libraries.
RESERVED_FILES = 128
# The body timeout is extended by one second per 16 KiB received: slower clients are disconnected.
MIN_BYTES_PER_SECOND = 16 * 1024
# A connection is aborted if the client does not read its response for this long; also for downloads.
SEND_TIMEOUT_SECONDS = 60.0
CHECK_SECONDS = 1.0
# Event streams, and requests for one, may take this share of the connections. The rest is a reserve for other requests.
STREAM_SHARE = 0.5
STREAM_PATH = b"/events"
# Time for downloads in progress to finish on shutdown; less if the client does not read. A service has to end within
# two seconds. With several workers, uvicorn looks for the signal only twice a second.
SHUTDOWN_DOWNLOAD_SECONDS = 0.9
SHUTDOWN_STALLED_SECONDS = 0.6
SHUTDOWN_CHECK_SECONDS = 0.05
# The attribute that marks uvicorn's state of a server that has begun to stop.
STOPPING = "is_stopping"

refuse_stream = RequestMiddleware(ProblemMiddleware(stream_limits.refuse), hsts=False)


class Phase(Enum):
    """The part of a request that the client is expected to send next."""

    IDLE = 0
    HEAD = 1
    BODY = 2


@dataclass(frozen=True)
class Timeouts:
    """How long a client may take to send the head and the body of a request, in seconds."""

    head: float
    body: float


class Shutdown(NamedTuple):
    """When the server began to stop, and how many bytes of a response were not sent then."""

    began: float
    unsent: int


class Connection(HttpToolsProtocol):
    """A connection that is aborted if its client is too slow, or if it is idle while there are too many connections.

    There is no timer per request. A timer per connection checks once per second, only while the client owes something.
    """

    def __init__(self, *arguments: Any, timeouts: Timeouts, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.url, self.headers = b"", []
        self.waiting_since = self._phase_began = self.loop.time()
        self._timeouts = timeouts
        self._phase = Phase.HEAD
        self._size = self._arrived = 0
        self._is_last = False
        self._requests_stream = False
        self._unsent = 0
        self._unsent_since = 0.0
        self._shutdown: Shutdown | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_responding(self) -> bool:
        """Whether a response is in progress."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def is_streaming(self) -> bool:
        """Whether an event stream is open, or requested."""
        return self._requests_stream and self.is_responding

    @property
    def is_waiting(self) -> bool:
        """Whether the server is waiting for the client: for a new request, or for the rest of a body."""
        return self._phase is Phase.BODY or not self.is_responding

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Start waiting for a request. If there are too many connections, abort the one that was idle the longest."""
        super().connection_made(transport)
        if STOPPING in vars(self.server_state):
            # Its TLS handshake ended after uvicorn had told all connections that the server stops.
            transport.abort()
            return
        self._start_timer()
        if len(self.connections) > _max_connections():
            waiting = [each for each in self.connections if isinstance(each, Connection) and each.is_waiting]
            min(waiting, key=lambda each: each.waiting_since).cut("crowd")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def cut(self, reason: str) -> None:
        """Abort the connection, and count it in the metrics."""
        metrics.ABORTED_CONNECTIONS.labels(reason).inc()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse data. A head that is too large is rejected before it fills the memory."""
        if self._phase is Phase.IDLE:
            self._enter(Phase.HEAD)
        if self._timer is None:
            self._start_timer()
        self._arrived = len(data)
        super().data_received(data)
        if self._phase is Phase.HEAD:
            self._size += len(data)
            if self._size > MAX_HEADER_BYTES and not self.transport.is_closing():
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """Start waiting for the rest of a head."""
        super().on_message_begin()
        self._enter(Phase.HEAD)

    def on_headers_complete(self) -> None:
        """Start waiting for the body. Without a body, the parser calls `on_message_complete` next."""
        if self._is_too_large():
            raise httptools.HttpParserError
        self._requests_stream = unquote_to_bytes(self.url.partition(b"?")[0]).endswith(STREAM_PATH)
        app = self.app
        if self._requests_stream and self._has_too_many_streams():
            # Before the application authenticates the client: a thousand of these must not take all connections.
            self.app = refuse_stream
        super().on_headers_complete()
        self.app = app
        self._enter(Phase.BODY)
        # Keep the connection open until the body is received: a client that is still sending cannot read the response.
        self._is_last, self.cycle.keep_alive = not self.cycle.keep_alive, True

    def on_body(self, body: bytes) -> None:
        """Count the received bytes."""
        self._size += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop waiting: the request is complete."""
        super().on_message_complete()
        self._enter(Phase.IDLE)
        if self._is_last:
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()

    def on_response_complete(self) -> None:
        """Start waiting for the next request."""
        super().on_response_complete()
        self.waiting_since = self.loop.time()

    def pause_writing(self) -> None:
        """Start watching whether the client reads its response."""
        super().pause_writing()
        self._unsent, self._unsent_since = 0, self.loop.time()
        if self._timer is None:
            self._start_timer()

    def shutdown(self) -> None:
        """Close the connection after its response. Event streams, which have no end, and long downloads are aborted.

        Their clients connect again, or see that the response is incomplete.
        """
        vars(self.server_state)[STOPPING] = True
        super().shutdown()
        if self.transport.is_closing():
            return
        if self._shutdown is None:
            self._shutdown = Shutdown(self.loop.time(), self.transport.get_write_buffer_size())
        if self.cycle.response_started and (self._requests_stream or self._is_overdue_at(self._shutdown)):
            self.transport.abort()
        else:
            # The response may not have started yet.
            self.loop.call_later(SHUTDOWN_CHECK_SECONDS, self.shutdown)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, even if the client has not read the end of its last response."""
        super().timeout_keep_alive_handler()
        if not self.flow.write_paused:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- uvicorn's text, the same for every malformed request
        """Send a problem for an invalid request, after the responses to earlier requests, and close the connection."""
        if self._phase is not Phase.BODY and self.is_responding:
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        if not (self.pipeline or (self.is_responding and self.cycle.response_started)):
            self.transport.write(self._render(self._problem()))
        self.transport.close()

    def _is_too_large(self) -> bool:
        # A shortcut: the received bytes show that most heads are small.
        if len(self.headers) <= MAX_HEADER_FIELDS and self._size + self._arrived <= MAX_HEADER_BYTES:
            return False
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        return len(self.headers) > MAX_HEADER_FIELDS or size > MAX_HEADER_BYTES

    def _has_too_many_streams(self) -> bool:
        streams = sum(isinstance(each, Connection) and each.is_streaming for each in self.connections)
        return streams >= STREAM_SHARE * _max_connections()

    def _is_overdue_at(self, shutdown: Shutdown) -> bool:
        is_stalled = self.flow.write_paused and self.transport.get_write_buffer_size() == shutdown.unsent
        limit = SHUTDOWN_STALLED_SECONDS if is_stalled else SHUTDOWN_DOWNLOAD_SECONDS
        return self.loop.time() - shutdown.began > limit

    def _problem(self) -> Problem:
        if len(self.url) > MAX_URL:
            return UriTooLong()
        if self._size > MAX_HEADER_BYTES or self._is_too_large():
            return BadRequest(
                f"The request's headers are too large: at most {MAX_HEADER_BYTES} bytes and {MAX_HEADER_FIELDS} fields."
            )
        return BadRequest()

    def _render(self, problem: Problem) -> bytes:
        request_id = secrets.token_hex(8)
        response = problems.render(problem, {"path": "", "root_path": self.root_path, "request_id": request_id})
        always = headers.complete(response.raw_headers, request_id)
        lines = [*self.server_state.default_headers, *always, (b"connection", b"close")]
        fields = b"".join(b"%s: %s\r\n" % line for line in lines)
        return STATUS_LINE[problem.status] + fields + b"\r\n" + bytes(response.body)

    def _enter(self, phase: Phase) -> None:
        self._phase, self._phase_began, self._size = phase, self.loop.time(), 0

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(CHECK_SECONDS, self._check)

    def _check(self) -> None:
        self._timer = None
        reason = self._overdue(self.loop.time())
        if reason is not None:
            self.cut(reason)
        elif self._phase is not Phase.IDLE or self.flow.write_paused:
            self._start_timer()

    def _overdue(self, now: float) -> str | None:
        """Return why the client has timed out, as a metric label, or None."""
        waited = now - self._phase_began
        if self.flow.write_paused:
            unsent = self.transport.get_write_buffer_size()
            if unsent != self._unsent:
                self._unsent, self._unsent_since = unsent, now
            return "answer" if now - self._unsent_since > SEND_TIMEOUT_SECONDS else None
        if self.flow.read_paused:
            # The server does not read at the moment: the client is not to blame.
            self._phase_began = now
            return None
        if self._phase is Phase.HEAD:
            return "head" if waited > self._timeouts.head and not self.is_responding else None
        # After its response, a client gets no more time for the rest of its body.
        extension = self._size / MIN_BYTES_PER_SECOND if self.is_responding else 0.0
        return "body" if self._phase is Phase.BODY and waited > self._timeouts.body + extension else None


def _max_connections() -> int:
    """Return the maximum number of connections: limited by the file descriptors of the process."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MAX_CONNECTIONS, max(files - RESERVED_FILES, 1))
