"""Answers that are sent while they are made, to whoever takes them."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from fastapi import Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from machine_monitor.api.middleware import HEADLESS

# How long a client may take nothing.
PATIENCE_SECONDS = 60.0


class Stream(Response):
    """An answer that is sent as it is made; it begins with its first part, so that until then a problem is one.

    An empty part sends nothing: it only asks whether the client is still there.
    """

    def __init__(self, parts: AsyncGenerator[bytes], media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(media_type=media_type, headers=headers)
        # Nobody knows it before the end.
        del self.headers["Content-Length"]
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; who goes away or takes nothing for a minute gets no clean end."""
        left = asyncio.create_task(_leaving(receive))
        try:
            async with aclosing(self._parts) as parts:
                part = await anext(parts, None)
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                while part is not None and not scope.get(HEADLESS):
                    if left.done():
                        raise ClientDisconnect
                    if part:
                        await _pass_on(part, send)
                    part = await anext(parts, None)
            await _pass_on(b"", send, more=False)
        finally:
            left.cancel()


async def _pass_on(part: bytes, send: Send, *, more: bool = True) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await send({"type": "http.response.body", "body": part, "more_body": more})
    except TimeoutError:
        raise ClientDisconnect from None


async def _leaving(receive: Receive) -> None:
    """Wait until the client goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass
