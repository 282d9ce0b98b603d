import sqlite3

import psycopg
import pytest

from machine_monitor.database import database_urls
from query import samples

MANY = 10_001
INSERT = """
INSERT INTO logs (uuid, machine_id, type, severity, status, started_at, attributes, version, created_at, updated_at)
SELECT {uuid}, 1, 'drain', n % 4, 'done', {time}, '{{}}', 1, {time}, {time} FROM {numbers}
"""
ROWS = {
    "sqlite": {
        "uuid": "printf('%08x-0000-7000-8000-000000000000', n)",
        "time": "'2025-01-01T00:00:00'",
        "numbers": f"(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n<{MANY}) SELECT n FROM s)",
    },
    "postgresql": {
        "uuid": "gen_random_uuid()",
        "time": "TIMESTAMPTZ '2025-01-01T00:00:00Z'",
        "numbers": f"generate_series(1, {MANY}) AS s(n)",
    },
}


@pytest.fixture
async def many(client, database_url):
    """More logs at one instant than the limit of capped counts and offsets."""
    for path, record in (("machines", samples.MACHINES[0]), ("log-types", samples.TYPES[0])):
        await client.post(f"/{path}", json=record)
    parsed_url = database_urls.parse(database_url)
    statement = INSERT.format(**ROWS[parsed_url.engine.name])
    if parsed_url.engine.name == "sqlite":
        connection = sqlite3.connect(parsed_url.path, isolation_level=None)
    else:
        connection = psycopg.connect(parsed_url.conninfo, autocommit=True)
    connection.execute(statement)
    connection.close()
    return client


async def test_counts_stop_at_ten_thousand_only_if_they_are_capped(many):
    rows = [
        ({"count": "exact"}, MANY, False),
        ({"count": "capped"}, 10_000, True),
        ({"count": "capped", "severity": "info"}, 2500, False),
        ({"count": "exact", "offset": 10_000}, MANY, False),
        ({"count": "capped", "type": "error"}, 0, False),
        ({"count": "exact", "q": "-"}, 0, False),
        ({}, None, False),
    ]
    for parameters, total, capped in rows:
        response = await many.get("/logs", params={"limit": 1, "fields": "uuid", **parameters})
        page = response.json()
        assert (response.status_code, page["total"], page["total_capped"]) == (200, total, capped)
        assert response.headers.get("X-Total-Count") == (None if total is None else str(total))
    assert len(page["items"]) == 1
    exactly = await many.get("/logs", params={"count": "capped", "uuid__ne": page["items"][0]["uuid"], "limit": 1})
    assert (exactly.json()["total"], exactly.json()["total_capped"]) == (10_000, False)


@pytest.mark.parametrize("sort", ["-started_at", "severity", "-user,project"])
async def test_paging_through_ten_thousand_logs_at_one_instant_returns_each_once(many, sort):
    uuids, cursor, pages = [], {}, 0
    while cursor is not None:
        response = await many.get("/logs", params={"limit": 500, "fields": "uuid", "sort": sort, **cursor})
        uuids += [item["uuid"] for item in response.json()["items"]]
        cursor, pages = response.json()["next"] and {"cursor": response.json()["next"]}, pages + 1
    assert (len(uuids), len(set(uuids)), pages) == (MANY, MANY, 21)
    last = await many.get("/logs", params={"limit": 5, "fields": "uuid", "sort": sort, "offset": 10_000})
    assert [item["uuid"] for item in last.json()["items"]] == uuids[10_000:]
    assert last.json()["next"] is None
