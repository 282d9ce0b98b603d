"""A program that calls every operation of the API and prints all compiled statements: `statement_texts.py URL [bare]`.

With `bare`, columns have SQLAlchemy's own types instead of the decorated types of `database/kinds`.
"""

import asyncio
import json
import sys

import httpx2
from sqlalchemy import TypeDecorator

UUID = "00000000-0000-4000-8000-{:012}"
LOG = {"machine": "Saw", "type": "error", "severity": "major", "attributes": {"temp": 80, "axis": "x"}}
TIMES = {
    "started_at": "2025-01-01T00:00:00Z",
    "ended_at": "2025-01-01T01:00:00.5Z",
    "down_from": "2025-01-01T00:30:00Z",
}
FIELDS = ("severity", "started_at", "ended_at", "created_at", "uuid", "machine", "user.role", "machine.created_at")
VALUES = {
    "severity": "minor",
    "uuid": UUID.format(1),
    "machine": "Saw",
    "user.role": "lead",
}
OPERATORS = ("", "__ne", "__gt", "__gte", "__lt", "__lte", "__in", "__not_in", "__isnull")
READS = [
    *[
        f"/logs?{field}{operator}={'true' if operator == '__isnull' else VALUES.get(field, '2025-01-01T00:00:00Z')}"
        for field in FIELDS
        for operator in OPERATORS
    ],
    *[f"/logs?sort={sign}{field}&limit=1" for field in FIELDS for sign in ("", "-")],
    *[f"/logs?attributes.{key}{operator}=80" for key in ("temp", "axis") for operator in ("", "__gte", "__lt", "__in")],
    "/logs?q=saw&expand=machine,type,user&count=exact",
    "/logs?attributes.axis__contains=x",
    "/logs/facets?by=type,machine,severity,status",
    "/logs/facets?by=machine&severity=major",
    "/logs/stats?group_by=severity,month&metrics=count,failures,downtime",
    "/logs/stats?group_by=machine.sector,week&severity__gte=minor",
    "/logs.csv?severity__gte=minor",
    "/logs.ndjson",
    "/machines?expand=activity",
    "/machines.xlsx",
    "/users?role__gte=lead&sort=role",
    f"/logs/{UUID.format(1)}?expand=machine",
    f"/logs/{UUID.format(1)}/history?at__gte=2025-01-01T00:00:00Z",
    "/changes?limit=1",
    "/log-types?sort=-updated_at",
]


async def call_every_operation(client: httpx2.AsyncClient) -> None:
    await client.put("/machines/Saw", json={"sector": "1A", "attributes": {"power": 2}})
    await client.put("/users/ABC", json={"role": "lead"})
    items = [LOG | TIMES | {"uuid": UUID.format(i)} for i in range(1, 4)]
    await client.post("/logs/bulk", json={"items": items}, headers={"Idempotency-Key": "k"})
    await client.post("/logs", json=LOG, headers={"Idempotency-Key": "l"})
    await client.patch(f"/logs/{UUID.format(1)}", json={"severity": "critical", "attributes": {"temp": None}})
    await client.patch("/machines/Saw", json={"name": "Saw 2"})
    await client.patch("/users/ABC", json={"role": "admin"})
    await client.delete(f"/logs/{UUID.format(2)}")
    await client.post(f"/logs/{UUID.format(2)}/restore")
    for path in READS:
        response = await client.get(path)
        # Not every field supports every operator.
        assert response.status_code == 200 or response.json()["code"] == "unknown-parameter", (path, response.text)
        if "next" in response.links:
            await client.get(response.links["next"]["url"])


async def main(url: str) -> None:
    from machine_monitor.database import statements  # noqa: PLC0415 -- after the types have been replaced

    texts, compile_statement = set(), statements.compile_statement

    def record_statement(engine, clause, **options):
        statement = compile_statement(engine, clause, **options)
        texts.add(f"{statement.sql} {statement.names}")
        return statement

    statements.compile_statement = record_statement
    from machine_monitor.api.app import create_app  # noqa: PLC0415 -- after compile has been patched
    from machine_monitor.config import Settings  # noqa: PLC0415 -- the same

    app = create_app(Settings(database_url=url, open=True))
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        await call_every_operation(client)
    print(json.dumps(sorted(texts)))  # noqa: T201 -- the output of this program


def bare(kind: type[TypeDecorator], *_: object) -> object:
    return kind.impl() if isinstance(kind.impl, type) else kind.impl


if __name__ == "__main__":
    if "bare" in sys.argv:
        TypeDecorator.__new__ = bare
    asyncio.run(main(sys.argv[1]))
