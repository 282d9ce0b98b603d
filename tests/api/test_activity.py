"""`expand=activity` of machines: open logs, logs of the last 30 days and the last log."""

from datetime import UTC, datetime, timedelta

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.models import MACHINES
from machine_monitor.query.sql.documents import record_statement
from machine_monitor.services.access.authentication import anonymous_statement

NOW = datetime.now(UTC).replace(microsecond=0)


def ago(**time) -> str:
    return (NOW - timedelta(**time)).isoformat().replace("+00:00", "Z")


@pytest.fixture
async def plant(client):
    for name in ("busy", "idle", "older"):
        await client.post("/machines", json={"name": name})
    rows = [
        ("busy", ago(days=-2), "open"),
        ("busy", ago(minutes=5), "in_progress"),
        ("busy", ago(days=29, hours=23), "done"),
        ("busy", ago(days=30, hours=1), "open"),
        ("older", ago(days=400), "cancelled"),
        ("older", ago(minutes=1), "open"),
    ]
    for machine, started_at, status in rows:
        log = {"machine": machine, "type": "info", "started_at": started_at, "status": status}
        uuid = (await client.post("/logs", json=log)).json()["uuid"]
    await client.delete(f"/logs/{uuid}")
    return client


ACTIVITY = {
    "busy": {"last_log_at": ago(days=-2), "open_logs": 3, "logs_30d": 2},
    "idle": {"last_log_at": None, "open_logs": 0, "logs_30d": 0},
    "older": {"last_log_at": ago(days=400), "open_logs": 0, "logs_30d": 0},
}


async def test_activity_summarizes_the_logs_of_a_machine_that_are_not_deleted(plant, monkeypatch):
    sent = []
    fetch = Database.fetch

    async def record_statement(self, statement, *rest):
        if statement is not anonymous_statement(self.engine):
            sent.append(statement)
        return await fetch(self, statement, *rest)

    monkeypatch.setattr(Database, "fetch", record_statement)
    page = (await plant.get("/machines", params={"expand": "activity", "fields": "name"})).json()
    assert {item["name"]: item["expanded"]["activity"] for item in page["items"]} == ACTIVITY
    for name, activity in ACTIVITY.items():
        response = await plant.get(f"/machines/{name}", params={"expand": "activity", "fields": "name"})
        assert response.json() == {"name": name, "expanded": {"activity": activity}}
    assert len(sent) == 4


async def test_a_record_with_activity_is_never_304(plant):
    tag = (await plant.get("/machines/busy")).headers["ETag"]
    response = await plant.get("/machines/busy", params={"expand": "activity"}, headers={"If-None-Match": tag})
    assert (response.status_code, response.headers["ETag"]) == (200, tag)
    assert (await plant.get("/machines/busy", headers={"If-None-Match": tag})).status_code == 304


async def test_activity_is_only_available_on_machines(plant):
    assert (await plant.get("/logs", params={"expand": "machine"})).json()["items"][0]["expanded"].keys() == {"machine"}
    for path in (
        "/logs?expand=activity",
        "/users?expand=activity",
        "/machines?expand=log",
        "/machines?fields=activity",
    ):
        assert (await plant.get(path)).status_code == 422


async def test_activity_is_read_from_indexes(sqlite_database_url):
    database = Database(sqlite_database_url)
    selection = (("name",), ("activity",))
    statement = record_statement(database.engine, MACHINES, "name_key", selection)

    def plan(tx):
        tx.cursor.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.bind({"key": "busy"}))
        return [row[3] for row in tx.cursor.fetchall()]

    steps = [line for line in database.snapshot(plan) if "logs" in line]
    database.close_writer()
    assert len(steps) == 3
    assert all(line.startswith("SEARCH logs USING") and "machine_id=?" in line for line in steps)
    assert any("ix_logs_machine_id " in line for line in steps)
