"""Litestar with msgspec: the SQL of the limit, behind a framework that parses and validates parameters."""

import os
from typing import Annotated

from litestar import Litestar, get
from litestar.exceptions import NotFoundException
from litestar.params import Parameter

from benchmarks.apps.limit import Log, Page, Reader


def serve() -> Litestar:
    """Create the app for the file in the variable BENCH_FILE."""
    reader = Reader(os.environ["BENCH_FILE"])

    @get("/logs")
    async def read_logs(
        type_: Annotated[str | None, Parameter(query="type")] = None,
        machine: str | None = None,
        started_at__gte: str | None = None,
        started_at__lt: str | None = None,
        limit: Annotated[int, Parameter(le=500)] = 50,
    ) -> Page:
        given = {
            "type": type_,
            "machine": machine,
            "started_at__gte": started_at__gte,
            "started_at__lt": started_at__lt,
            "limit": str(limit),
        }
        return reader.page({name: value for name, value in given.items() if value is not None})

    @get("/logs/{uuid:str}")
    async def read_log(uuid: str) -> Log:
        log = reader.one(uuid)
        if log is None:
            raise NotFoundException
        return log

    return Litestar([read_logs, read_log], openapi_config=None)
