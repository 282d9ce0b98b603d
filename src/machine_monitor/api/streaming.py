"""Responses to clients that read slowly: a send timeout for streams, and a limit of bytes for finished bodies."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, contextmanager, suppress

from fastapi import Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from machine_monitor.api.access import user_of
from machine_monitor.api.middleware import IS_HEAD
from machine_monitor.api.serving.compression import CompressedResponse, compress_stream
from machine_monitor.errors import DatabaseBusy
from machine_monitor.fairness import FairSemaphore

# A response is aborted if the client does not read for this long.
SEND_TIMEOUT_SECONDS = 60.0
# A chunk that continues after a cancellation is cancelled again after this time.
CANCEL_SECONDS = 1.0
# A larger body is sent in pieces, the next one when the client has read enough of the last.
PIECE_BYTES = 64 * 1024
# How many bytes of such bodies may wait in memory for their clients.
MAX_UNSENT_BYTES = 16 * 1024 * 1024
# A response that its client has not read for this long is aborted if its user needs the memory for another one.
STALLED_SECONDS = 1.0


class TimedStreamingResponse(Response):
    """A streaming response that aborts when the client disconnects or stops reading.

    The status is sent with the first chunk, so that an error before that still becomes a problem response. An empty
    chunk sends nothing.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes],
        media_type: str,
        headers: Mapping[str, str],
        send_timeout: float | None = None,
    ) -> None:
        super().__init__(media_type=media_type, headers=headers)
        # The length is unknown until the end.
        del self.headers["Content-Length"]
        self._chunks = chunks
        self._send_timeout = SEND_TIMEOUT_SECONDS if send_timeout is None else send_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; raises `ClientDisconnect`, so that it ends incomplete, if the client stops reading it."""
        disconnected = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            async with aclosing(compress_stream(self, scope, self._chunks)) as chunks:
                chunk = await _next_chunk(chunks, disconnected)
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                while chunk is not None and not scope.get(IS_HEAD):
                    if chunk:
                        await self._send_chunk(chunk, send)
                    chunk = await _next_chunk(chunks, disconnected)
            await self._send_chunk(b"", send, more=False)
        finally:
            disconnected.cancel()

    async def _send_chunk(self, chunk: bytes, send: Send, *, more: bool = True) -> None:
        try:
            async with asyncio.timeout(self._send_timeout):
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
        except TimeoutError:
            raise ClientDisconnect from None


async def _next_chunk(chunks: AsyncGenerator[bytes], disconnected: asyncio.Task[None]) -> bytes | None:
    """Return the next chunk, or None at the end; raises `ClientDisconnect` as soon as the client disconnects."""
    chunk = asyncio.ensure_future(anext(chunks, None))
    try:
        await asyncio.wait((chunk, disconnected), return_when=asyncio.FIRST_COMPLETED)
        if disconnected.done():
            raise ClientDisconnect
        return chunk.result()
    finally:
        # A chunk that is not wanted any more has to release what it uses before its generator is closed.
        await _cancel(chunk)


async def _cancel(task: asyncio.Future[bytes | None]) -> None:
    """Cancel a task, if it has not ended, and wait for its end.

    One cancellation can be lost: before Python 3.12 `asyncio.wait_for`, which psycopg's pool calls, returns a result
    that becomes ready at the same moment instead (bpo-37658).
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=CANCEL_SECONDS)
    if not task.cancelled():
        task.exception()  # retrieved, so that asyncio does not log it


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class OutgoingBodies:
    """The large bodies that wait in memory for their clients. Users share MAX_UNSENT_BYTES of them."""

    def __init__(self) -> None:
        self._bytes = FairSemaphore(MAX_UNSENT_BYTES)
        self._bodies: list[OutgoingBody] = []

    @contextmanager
    def hold(self, user: str, size: int) -> Generator["OutgoingBody"]:
        """Count a body of this size while it is sent; raises `DatabaseBusy` if there is no room for it.

        Bodies that their clients have stopped reading give way to it, first those of the user who holds the most.
        """
        # A larger body counts as half of all bytes: alone it may be sent.
        body = OutgoingBody(user, min(size, MAX_UNSENT_BYTES // 2))
        while not self._bytes.try_acquire(user, body.size):
            self._abort_stalled()
        self._bodies.append(body)
        try:
            yield body
        finally:
            self._forget(body)

    def _abort_stalled(self) -> None:
        latest = asyncio.get_running_loop().time() - STALLED_SECONDS
        stalled = [body for body in self._bodies if body.read_at < latest]
        if not stalled:
            raise DatabaseBusy("Responses that clients are still reading fill the memory. Try again, or ask for less.")
        longest = min(stalled, key=lambda body: (-self._bytes.held_by(body.user), body.read_at))
        longest.abort()
        self._forget(longest)

    def _forget(self, body: "OutgoingBody") -> None:
        with suppress(ValueError):  # it was aborted before
            self._bodies.remove(body)
            self._bytes.release(body.user, body.size)


class OutgoingBody:
    """A body that is being sent. It counts `size` bytes; `read_at` is when its client last read some of it."""

    def __init__(self, user: str, size: int) -> None:
        self.user, self.size = user, size
        self.read_at = asyncio.get_running_loop().time()
        self._deadline = asyncio.timeout(None)

    def abort(self) -> None:
        """Make `send` raise `ClientDisconnect`."""
        self._deadline.reschedule(asyncio.get_running_loop().time())

    async def send(self, start_message: Message, content: bytes, send: Send) -> None:
        """Send the response, the body in pieces; raises `ClientDisconnect` if it is aborted."""
        try:
            async with self._deadline:
                await send(start_message)
                for start in range(0, len(content), PIECE_BYTES):
                    more = start + PIECE_BYTES < len(content)
                    piece = content[start : start + PIECE_BYTES]
                    await send({"type": "http.response.body", "body": piece, "more_body": more})
                    self.read_at = asyncio.get_running_loop().time()
        except TimeoutError:
            raise ClientDisconnect from None


class FinishedResponse(CompressedResponse):
    """The response of a read, with a finished body. A large one counts among the application's `OutgoingBodies`.

    Not for a write: it is done, so its response must not be refused.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; raises `DatabaseBusy` before anything is sent, or `ClientDisconnect`."""
        await self.compress(scope)
        if len(self.body) <= PIECE_BYTES or scope.get(IS_HEAD):
            await Response.__call__(self, scope, receive, send)
            return
        outgoing: OutgoingBodies = scope["app"].state.outgoing
        with outgoing.hold(user_of(Request(scope)), len(self.body)) as body:
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await body.send(start, bytes(self.body), send)
