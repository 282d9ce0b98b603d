"""Workers of imports: killed, stopped and overtaken ones leave nothing half done; what is kept, and for how long."""

import asyncio
import json
import os
import signal
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlmodel import select

from api.imports.conftest import ORDERS, done, rows, settled, upload
from conftest import client_of
from machine_monitor.api.app import create_app
from machine_monitor.config import Settings
from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.errors import Invalid
from machine_monitor.models.imports.file_import import FileImport, FileImportRead
from machine_monitor.services.imports.uploads import file_imports, imports, jobs
from machine_monitor.services.imports.uploads.file_imports import Lease, LeaseLost
from machine_monitor.services.imports.uploads.jobs import Job, LeasedDatabase
from services.backup.full_database import verify_database

pytestmark = pytest.mark.slow
MAPPING = json.dumps(ORDERS)
# Of several transactions, so that a worker can be met between two of them.
MANY = rows(range(1, 8_001))
IDENTITY = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture
def settings(database_url, folder):
    yield Settings(database_url=database_url, files=str(folder), open=True)
    assert verify_database(database_url).faults == []


@asynccontextmanager
async def running(settings):
    """Run a service; yields it and a client."""
    app = create_app(settings)
    async with app.router.lifespan_context(app), client_of(app) as client:
        yield app, client


async def half_applied(client):
    """Upload a table and return the import when its first rows are written."""
    found = (await upload(client, MANY, mapping=MAPPING)).json()
    assert found["state"] == "ready", found
    assert (await client.post(f"/imports/{found['id']}/apply")).status_code == 202
    while not await count(client):  # each question takes a moment
        assert (await client.get(f"/imports/{found['id']}")).json()["state"] == "applying"
    return found["id"]


async def count(client):
    return (await client.get("/logs?limit=1&count=exact")).json()["total"]


def processes(app):
    return app.state.imports.workers.processes


async def change(app, **values):
    """Set columns of every import."""

    def write(tx):
        for row in tx.session.scalars(select(FileImport)):
            for name, value in values.items():
                setattr(row, name, value)

    await app.state.database.write(write)


async def test_what_a_killed_worker_has_written_is_undone(settings):
    async with running(settings) as (app, client):
        identity = await half_applied(client)
        (process,) = processes(app)
        process.kill()
        found = await settled(client, identity)
        assert (found["state"], found["done"], await count(client)) == ("failed", 0, 0)
        assert found["problem"]["detail"] == jobs.RECOVERED
        assert found["undone"]["deleted"] >= 2_000
        again = await done(client, identity, "apply")
        assert (again["state"], again["problem"], await count(client)) == ("done", None, 8_000)


async def test_a_service_that_stops_undoes_what_was_written(settings):
    async with running(settings) as (_, client):
        identity = await half_applied(client)
    async with running(settings) as (_, client):
        found = (await client.get(f"/imports/{identity}")).json()
        assert (found["state"], await count(client)) == ("failed", 0)
        assert "was undone" in found["problem"]["detail"]
        # The file is not at fault.
        assert (found["problem"]["code"], found["problem"]["errors"]) == ("database-busy", [])


async def test_what_a_killed_service_has_written_is_undone_when_its_lease_has_ended(settings):
    async with running(settings) as (app, client):
        identity = await half_applied(client)
        (process,) = processes(app)
        app.state.imports.workers.is_closed = True  # as if the service were dead, too
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await change(app, lease_until=instants.now() + timedelta(seconds=30))
    async with running(settings) as (app, client):
        await app.state.imports.sweep()
        assert (await client.get(f"/imports/{identity}")).json()["state"] == "applying"
        assert await count(client) >= 2_000
        await change(app, lease_until=instants.now() - timedelta(seconds=1))
        await app.state.imports.sweep()
        found = await settled(client, identity)
        assert (found["state"], await count(client)) == ("failed", 0)


async def test_others_write_and_read_while_an_import_is_applied(settings):
    async with running(settings) as (_, client):
        identity = await half_applied(client)
        written = 0
        while (await client.get(f"/imports/{identity}")).json()["state"] == "applying":
            answer = await client.post("/logs", json={"machine": "Saw 1", "type": "info"})
            assert answer.status_code == 201
            written += 1
        assert written > 1
        assert await count(client) == 8_000 + written
        undone = await done(client, identity, "undo")
        assert (undone["undone"]["deleted"], await count(client)) == (8_000, written)


async def test_of_two_services_one_applies_an_import(settings):
    async with running(settings) as (_, one), running(settings) as (_, other):
        found = (await upload(one, rows(range(1, 2_001)), mapping=MAPPING)).json()
        path = f"/imports/{found['id']}/apply"
        answers = await asyncio.gather(*[client.post(path) for client in (one, other, one, other)])
        assert {answer.status_code for answer in answers} <= {202, 409}
        assert 202 in {answer.status_code for answer in answers}
        applied = await settled(other, found["id"])
        assert (applied["state"], applied["report"]["logs"]["created"], await count(one)) == ("done", 2_000, 2_000)


async def test_a_preview_that_takes_long_is_read_later(settings, monkeypatch):
    monkeypatch.setattr(imports, "PREVIEW_SECONDS", 0)
    async with running(settings) as (_, client):
        answer = await upload(client, rows([1]), mapping=MAPPING)
        found = answer.json()
        assert (answer.status_code, found["state"], found["preview"]) == (201, "reading", None)
        assert (await client.post(f"/imports/{found['id']}/apply")).status_code == 409
        assert (await settled(client, found["id"]))["preview"]["counts"]["logs"]["created"] == 1
        bad = (await upload(client, b"PK\x03\x04 damaged")).json()
        found = await settled(client, bad["id"])
        assert (found["state"], found["problem"]["errors"][0]["pointer"]) == ("failed", "/file")


async def test_an_upload_is_kept_for_a_day(settings, folder):
    async with running(settings) as (app, client):
        old = (await upload(client, rows([1]), mapping=MAPPING)).json()
        applied = (await upload(client, rows([2]) + "x;no;day;\r\n", mapping=MAPPING)).json()
        await done(client, applied["id"], "apply")
        stray = folder / "uploads" / IDENTITY
        stray.mkdir()
        await change(app, expires_at=instants.now() - timedelta(seconds=1))
        await app.state.imports.sweep()
        assert [path.name for path in (folder / "uploads").iterdir()] == [IDENTITY]
        past = stray.stat().st_mtime - 3 * 24 * 3600
        os.utime(stray, (past, past))
        await app.state.imports.sweep()
        assert [*(folder / "uploads").iterdir()] == []
        assert (await client.get(f"/imports/{old['id']}")).json()["state"] == "expired"
        expired = await client.post(f"/imports/{old['id']}/apply")
        assert (expired.status_code, expired.json()["detail"]) == (409, file_imports.EXPIRED)
        assert (await client.get(f"/imports/{applied['id']}/rejected.csv")).status_code == 404
        # A user can undo an import after its file was removed. The import then stays `undone`.
        assert (await done(client, applied["id"], "undo"))["undone"]["deleted"] == 1
        await app.state.imports.sweep()
        again = await client.post(f"/imports/{applied['id']}/undo")
        assert (again.status_code, again.json()["state"]) == (202, "undone")
        expired = await client.post(f"/imports/{applied['id']}/apply")
        assert (expired.status_code, expired.json()["detail"]) == (409, file_imports.EXPIRED)


async def test_a_sweep_ignores_what_is_no_upload(settings, folder):
    async with running(settings) as (app, client):
        found = (await upload(client, rows([1]), mapping=MAPPING)).json()
        (folder / "uploads" / ".DS_Store").touch()
        await change(app, expires_at=instants.now() - timedelta(seconds=1))
        await app.state.imports.sweep()
        assert [path.name for path in (folder / "uploads").iterdir()] == [".DS_Store"]
        assert (await client.get(f"/imports/{found['id']}")).json()["state"] == "expired"


async def test_uploads_and_refused_rows_are_readable_by_the_service_alone(settings, folder):
    async with running(settings) as (_, client):
        found = (await upload(client, rows([1]) + "x;no;day;\r\n", mapping=MAPPING)).json()
        await done(client, found["id"], "apply")
        files = [path for path in (folder / "uploads").rglob("*") if path.is_file()]
        assert sorted(path.name for path in files) == ["orders.csv", "rejected"]
        assert {oct(path.stat().st_mode & 0o777) for path in (folder / "uploads", *files[0].parents[:2])} == {"0o700"}


@pytest.fixture
def lease(settings):
    """The lease of an import of a table with three rows, and its job."""
    now = instants.now()
    row = FileImportRead(id=IDENTITY, state="reading", file="t.csv", bytes=1, sha256="", created_at=now, expires_at=now)
    database = Database(settings.database_url)
    given = database.transact(lambda tx: file_imports.create(tx, row))
    yield given
    database.close_writer()


def test_a_worker_whose_lease_was_taken_over_writes_nothing(settings, lease):
    worker, other = LeasedDatabase(settings.database_url, lease), Database(settings.database_url)
    try:
        worker.transact(lambda tx: tx.cursor.execute("UPDATE log_types SET label = 'first'"))
        assert other.transact(lambda tx: file_imports.take_over(tx, lease)) is None
        taken = other.transact(lambda tx: file_imports.take_over(tx, lease, is_dead=True))
        assert taken == Lease(lease.id, 2)
        with pytest.raises(LeaseLost):
            worker.transact(lambda tx: tx.cursor.execute("UPDATE log_types SET label = 'second'"))
        with pytest.raises(LeaseLost):
            worker.finish("ready", {})
        labels = other.snapshot(lambda tx: tx.cursor.execute("SELECT DISTINCT label FROM log_types").fetchall())
        assert [tuple(row) for row in labels] == [("first",)]
        other.transact(lambda tx: tx.cursor.execute("UPDATE log_types SET label = code"))
    finally:
        worker.close_writer()
        other.close_writer()


def test_an_import_that_is_read_again_is_not_removed(settings, lease):
    """A client may begin to read a failed import again before the upload that made it has removed it."""
    database = Database(settings.database_url)
    try:
        database.transact(lambda tx: file_imports.finish(tx, lease, "failed", {}))
        taken = database.transact(lambda tx: file_imports.claim(tx, lease.id, file_imports.READ_AGAIN))
        assert database.transact(lambda tx: file_imports.remove(tx, lease)) is False
        assert database.transact(lambda tx: file_imports.remove(tx, taken)) is True
    finally:
        database.close_writer()


def test_a_table_with_too_many_rows_is_refused(settings, lease, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "MAX_ROWS", 3)
    table = tmp_path / "t.csv"
    database = LeasedDatabase(settings.database_url, lease)
    job = Job("preview", lease, settings.database_url, "UTC", table=str(table), mapping=ORDERS)
    try:
        table.write_text(rows([1, 2, 3, 4]))
        with pytest.raises(Invalid) as refused:
            jobs.preview(job, database)
        assert (refused.value.faults[0].code, refused.value.faults[0].pointer) == ("too-many-rows", "/file")
        table.write_text(rows([1, 2, 3]))
        jobs.preview(job, database)
        found = database.snapshot(lambda tx: file_imports.to_json(file_imports.find(tx, IDENTITY)))
        assert (found["state"], found["total"]) == ("ready", 3)
    finally:
        database.close_writer()
