"""Streaming responses with a send timeout."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from fastapi import Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from machine_monitor.api.middleware import IS_HEAD

# A response is aborted if the client does not read for this long.
SEND_TIMEOUT_SECONDS = 60.0


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
            async with aclosing(self._chunks) as chunks:
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
        chunk.cancel()
        await asyncio.gather(chunk, return_exceptions=True)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
