"""gzip for JSON, CSV and NDJSON, for clients that accept it.

Not for event streams, and not for routes of credentials: the size of a compressed response could reveal a secret in it
(BREACH, https://www.breachattack.com).
"""

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from functools import lru_cache
from gzip import compress

from fastapi import Response
from starlette.types import Receive, Scope, Send

MEDIA_TYPES = ("application/json", "application/problem+json", "text/csv", "application/x-ndjson")
MIN_BYTES = 1024
# A page of 50 logs, 23 kB, becomes 5.5 kB in 57 us. Level 6, zlib's default, makes it 4.8 kB and takes 142 us.
LEVEL = 1
# A larger body is compressed in a thread: 64 KiB take 0.3 ms of the event loop.
INLINE_BYTES = 64 * 1024
# Tells zlib to write gzip's header and checksum.
GZIP_CONTAINER = 16 + zlib.MAX_WBITS
_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")


class CompressedResponse(Response):
    """A finished body, which is compressed if the client accepts it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        await self.compress(scope)
        await super().__call__(scope, receive, send)

    async def compress(self, scope: Scope) -> None:
        """Compress the body. Its ETag stays: it names the version of the record."""
        if not vary_by_encoding(self, scope):
            return
        size = len(self.body)
        if size < MIN_BYTES or not accepts_gzip(scope):
            return
        # Without a time stamp, equal content has equal bytes.
        arguments = bytes(self.body), LEVEL
        if size <= INLINE_BYTES:
            self.body = compress(*arguments, mtime=0)
        else:
            self.body = await asyncio.to_thread(compress, *arguments, mtime=0)
        self.headers["Content-Encoding"] = "gzip"
        self.headers["Content-Length"] = str(len(self.body))


async def compress_stream(response: Response, scope: Scope, chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the chunks of a stream, compressed if the client accepts it. The headers are right with the first chunk.

    A stream with a known length, such as a file, stays as it is.

    Each chunk can be read when it arrives, and nothing but the compressor's window of 32 KiB is kept.
    """
    async with aclosing(chunks):
        if "Content-Length" in response.headers or not (vary_by_encoding(response, scope) and accepts_gzip(scope)):
            async for chunk in chunks:
                yield chunk
            return
        start = b""
        async for chunk in chunks:
            start += chunk
            if len(start) >= MIN_BYTES:
                break
        else:
            yield start
            return
        response.headers["Content-Encoding"] = "gzip"
        compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP_CONTAINER)
        yield await _compress_chunk(compressor, start)
        async for chunk in chunks:
            yield await _compress_chunk(compressor, chunk)
        yield compressor.flush()


def vary_by_encoding(response: Response, scope: Scope) -> bool:
    """Return whether a response may be compressed; if so, add `Vary: Accept-Encoding`, which tells caches."""
    if response.media_type not in MEDIA_TYPES or getattr(scope.get("route"), "has_secrets", False):
        return False
    response.headers.add_vary_header("Accept-Encoding")
    return True


def accepts_gzip(scope: Scope) -> bool:
    """Return whether the client prefers gzip to an uncompressed response."""
    return preferred_encoding(scope["headers"], ("gzip",)) is not None


def preferred_encoding(headers: Iterable[tuple[bytes, bytes]], available: Sequence[str]) -> str | None:
    """Return which of these encodings the client prefers, the first of equals; None for an uncompressed response."""
    qualities = _parse_qualities(b",".join(value for name, value in headers if name == b"accept-encoding"))

    def quality(encoding: str) -> float:
        return qualities.get(encoding, qualities.get("*", 0.0))

    best = max(available, key=quality, default=None)
    return best if best and quality(best) > 0 and quality(best) >= qualities.get("identity", 0.0) else None


@lru_cache(maxsize=64)
def _parse_qualities(accepted: bytes) -> dict[str, float]:
    """Return the quality of each encoding in `Accept-Encoding`. A quality that cannot be parsed is 0: not accepted."""
    qualities = {}
    for item in accepted.decode("latin-1").lower().split(","):
        name, *parameters = map(str.strip, item.split(";"))
        given = [text.removeprefix("q=") for text in parameters if text.startswith("q=")] or ["1"]
        qualities[name.removeprefix("x-")] = float(given[0]) if _QUALITY.fullmatch(given[0]) else 0.0
    return qualities


async def _compress_chunk(compressor: "zlib._Compress", chunk: bytes) -> bytes:
    if len(chunk) <= INLINE_BYTES:
        return _flushed(compressor, chunk)
    return await asyncio.to_thread(_flushed, compressor, chunk)


def _flushed(compressor: "zlib._Compress", chunk: bytes) -> bytes:
    return compressor.compress(chunk) + compressor.flush(zlib.Z_SYNC_FLUSH)
