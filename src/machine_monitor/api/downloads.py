"""Export endpoints: files that are streamed while they are built."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Response

from machine_monitor.api.access import needs
from machine_monitor.api.deps import Db, Now, export_of
from machine_monitor.api.openapi.documents import export_operation
from machine_monitor.api.streaming import TimedStreamingResponse
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.schema import Resource
from machine_monitor.services.access.permissions import READ
from machine_monitor.services.tabular.exports import FORMATS, Export, Format


def add_export_routes(router: APIRouter, resource: Resource) -> None:
    """Add one export route per format to a router."""
    for form in FORMATS.values():
        router.add_api_route(
            f"/{resource.name}.{form.suffix}",
            _endpoint(resource, form),
            dependencies=[needs(READ)],
            name=f"export_{resource.name}_{form.suffix}",
            **export_operation(resource, form),
        )


def _endpoint(resource: Resource, form: Format) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def export(query: Annotated[ListQuery, export_of(resource, form)], now: Now, database: Db) -> Response:
        chunks = form.write(Export(database, query, now.zone))
        name = f"{resource.name}-{now.today}.{form.suffix}"
        # An export may be the whole site: no browser may keep it after the user has signed out.
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return TimedStreamingResponse(chunks, form.media_type, headers)

    return export
