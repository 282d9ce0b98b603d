"""Downloads: files that are sent while they are made, to whoever takes them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from machine_monitor.api.deps import Db, Now, export_of
from machine_monitor.api.documents import exported
from machine_monitor.api.envelope import HEADLESS
from machine_monitor.query.grammar import Listing
from machine_monitor.query.vocabulary import Resource
from machine_monitor.services.tabular.exports import FORMATS, Export, Format

# How long a client may take nothing.
PATIENCE_SECONDS = 60.0


class Download(Response):
    """An answer that is sent as it is made; it begins with its first part, so that until then a problem is one."""

    def __init__(self, parts: AsyncGenerator[bytes], media_type: str, name: str) -> None:
        super().__init__(media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})
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
                    await _pass_on(part, send)
                    part = await anext(parts, None)
            await send({"type": "http.response.body", "body": b""})
        finally:
            left.cancel()


def offer_exports(router: APIRouter, resource: Resource) -> None:
    """Let a router answer the exports of a resource, one a format."""
    for form in FORMATS.values():
        router.add_api_route(
            f"/{resource.name}.{form.suffix}",
            _endpoint(resource, form),
            name=f"export_{resource.name}_{form.suffix}",
            **exported(resource, form),
        )


def _endpoint(resource: Resource, form: Format) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def export(listing: Annotated[Listing, export_of(resource, form)], now: Now, database: Db) -> Response:
        parts = form.write(Export(database, listing, now.zone))
        return Download(parts, form.media_type, f"{resource.name}-{now.today}.{form.suffix}")

    return export


async def _pass_on(part: bytes, send: Send) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await send({"type": "http.response.body", "body": part, "more_body": True})
    except TimeoutError:
        raise ClientDisconnect from None


async def _leaving(receive: Receive) -> None:
    """Wait until the client goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass
