"""The TLS side of the server: a context that takes a renewed certificate at once, and timeouts of the handshake."""

import asyncio
import logging
import ssl
from functools import partial
from pathlib import Path
from typing import Any

from uvicorn.loops.auto import auto_loop_factory

# Without a timeout, asyncio lets a client hold a connection for 60 seconds before it has sent a byte.
HANDSHAKE_SECONDS = 10.0
# Phones that sleep do not answer the end of a connection; a shutdown must not wait for them.
SHUTDOWN_SECONDS = 2.0

logger = logging.getLogger(__name__)


class ReloadingContext(ssl.SSLContext):
    """A server's TLS context that reads its certificate again when the file has changed; open connections stay."""

    _path: Path
    _modified_ns: int

    @classmethod
    def from_file(cls, path: Path) -> "ReloadingContext":
        """Create a context with the key and the certificate in this file."""
        context = cls(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context._path = path
        context._load()
        return context

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """Start the TLS of a connection: event loops call this once for each, in their own thread."""
        try:
            if self._path.stat().st_mtime_ns != self._modified_ns:
                self._load()
        except OSError as error:  # also of ssl
            logger.warning("the certificate cannot be read again, so the former one stays in use: %s", error)
        return super().wrap_bio(*arguments, **options)

    def _load(self) -> None:
        self._modified_ns = self._path.stat().st_mtime_ns
        self.load_cert_chain(self._path)


def context_factory(path: Path, *_: Any) -> ssl.SSLContext:
    """Create the context, in each worker; further arguments are uvicorn's."""
    return ReloadingContext.from_file(path)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Create uvicorn's event loop; its servers have timeouts for TLS, which uvicorn has no option for."""
    loop = auto_loop_factory()()
    timeouts = {"ssl_handshake_timeout": HANDSHAKE_SECONDS, "ssl_shutdown_timeout": SHUTDOWN_SECONDS}
    loop.create_server = partial(loop.create_server, **timeouts)
    return loop


def options(path: Path) -> dict[str, Any]:
    """Return uvicorn's options for HTTPS with the key and the certificate in this file."""
    return {"ssl_context_factory": partial(context_factory, path), "loop": f"{__name__}:{new_event_loop.__name__}"}
