"""Event streams and their limits: no reader can take all connections of a process, which counts its own streams."""

from collections import Counter
from collections.abc import AsyncGenerator, Generator, Hashable, Mapping
from contextlib import aclosing, contextmanager

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from machine_monitor.api.access import caller_of
from machine_monitor.api.streaming import TimedStreamingResponse
from machine_monitor.errors import RateLimited
from machine_monitor.services.accounts.rate_limit import network_of
from machine_monitor.services.audit.live_feed import KEEPALIVE_SECONDS

MAX_PER_CREDENTIAL = 8
MAX_PER_USER = 32
MAX_PER_ADDRESS = 8
MAX_PER_PROCESS = 200
RETRY_SECONDS = 15
TOO_MANY = "Too many streams are open. Close one, or poll `/changes` instead."

# The largest number of streams for each subject: a credential, a user, an address, the process.
Limits = Mapping[Hashable, int]


class OpenStreams:
    """The open event streams of a process, counted by subject."""

    def __init__(self) -> None:
        self._counts: Counter[Hashable] = Counter()

    @contextmanager
    def counted(self, limits: Limits) -> Generator[None]:
        """Count a stream during this context; raises `RateLimited` if a limit is reached."""
        if any(self._counts[subject] >= limit for subject, limit in limits.items()):
            raise RateLimited(RETRY_SECONDS, TOO_MANY)
        self._counts.update(limits.keys())
        try:
            yield
        finally:
            # Subtraction drops the subjects whose count is zero.
            self._counts -= Counter(limits.keys())

    async def limit(self, limits: Limits, chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """Yield the chunks of a stream, which counts from the first one to the last."""
        with self.counted(limits):
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk


async def refuse(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Refuse a stream, as an ASGI application."""
    raise RateLimited(RETRY_SECONDS, TOO_MANY)


def event_stream(request: Request, events: AsyncGenerator[bytes]) -> Response:
    """Return server-sent events as a response, which counts as one of the caller's streams."""
    open_streams: OpenStreams = request.app.state.open_streams
    return TimedStreamingResponse(
        open_streams.limit(_limits_of(request), events),
        "text/event-stream",
        # nginx passes the stream on without buffering it.
        {"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        send_timeout=KEEPALIVE_SECONDS,
    )


def _limits_of(request: Request) -> Limits:
    """Return the limits of the caller's streams."""
    caller = caller_of(request)
    limits: dict[Hashable, int] = {"process": MAX_PER_PROCESS}
    if caller.user is None:
        address = request.client.host if request.client else ""
        return limits | {("address", network_of(address)): MAX_PER_ADDRESS}
    credential = ("credential", caller.token or caller.session)
    return limits | {credential: MAX_PER_CREDENTIAL, ("user", caller.user): MAX_PER_USER}
