"""Uploads of the legacy tool's folder as .zip, and of its SQLite file: they become what `mm sync` makes of them."""

import json
from zoneinfo import ZoneInfo

import pytest

from api.access.site import opened
from api.imports.conftest import ORDERS, done, settled, upload
from conftest import client_of
from machine_monitor.api.app import create_app
from machine_monitor.config import Settings
from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.models.imports.file_import import FileImportRead
from machine_monitor.services import legacy
from machine_monitor.services.imports.uploads import file_imports, legacy_jobs
from machine_monitor.services.imports.uploads.jobs import Job, LeasedDatabase
from services.backup.full_database import verify_database
from services.legacy.cases import counts, everything
from services.legacy.uploaded_files import UUID, as_database, as_folder, as_zip, files, log

pytestmark = pytest.mark.slow
PARIS, UTC = ZoneInfo("Europe/Paris"), ZoneInfo("UTC")
KINDS = ("machines", "logs", "users", "log_types")


@pytest.fixture
def database(database_url):
    found = Database(database_url)
    yield found
    found.close_writer()


@pytest.fixture
def synced(new_database_url):
    """Return all records that `mm sync` makes of a source in a database of its own."""

    def sync(source, zone):
        database = Database(new_database_url("sqlite"))
        legacy.sync(database, source, zone)
        found = everything(database)
        database.close_writer()
        return found

    return sync


def of(found, name):
    return {kind: found[kind][name] for kind in KINDS}


@pytest.mark.parametrize("prefix", ["", "old data/"])
async def test_a_zip_of_the_folder_is_previewed_and_imported_like_a_sync_of_it(client, database, tmp_path, prefix):
    answer = await upload(client, as_zip(files(), prefix), name="old.zip")
    found = answer.json()
    assert (answer.status_code, found["state"], found["resource"], found["mapping"]) == (201, "ready", None, None)
    assert found["read"] == {"format": "legacy-folder", "zone": "UTC"}
    assert of(found["preview"]["counts"], "created") == {"machines": 2, "logs": 4, "users": 1, "log_types": 0}
    assert found["preview"]["counts"]["logs"]["rejected"] == 1
    assert [record["comment"] for record in found["preview"]["records"]] == [f"Noise {each}" for each in (1, 2, 3, 8)]
    assert found["preview"]["span"] == ["2025-07-02T10:00:00Z", "2025-07-09T10:00:00Z"]
    problems = {each["code"]: each for each in found["preview"]["problems"]}
    assert set(problems) == {"time", "undeclared-machine"}
    assert problems["time"]["files"] == [f"logs/{UUID.format(99)}.json"]
    assert (problems["time"]["field"], problems["time"]["count"], problems["time"]["rows"]) == ("timeStamp", 1, [])
    assert everything(database)["logs"] == {}

    applied = await done(client, found["id"], "apply")
    assert applied["state"] == "done", applied
    assert applied["report"]["logs"] == counts(created=4, rejected=1)
    assert (applied["report"]["ignored"], applied["done"]) == (1, applied["total"])
    assert (applied["created"], applied["rejected"]) == (7, 1)
    made = everything(database)
    folder = as_folder(tmp_path / "folder", files())
    again = legacy.sync(database, folder, UTC).to_dict()
    assert of(again, "created") == of(again, "updated") == of(again, "conflict") == dict.fromkeys(KINDS, 0)
    assert again["logs"] == counts(unchanged=4, rejected=1)
    assert everything(database) == made
    second = (await upload(client, as_zip(files(), prefix), name="old.zip")).json()["preview"]
    assert second["counts"]["logs"] == counts(unchanged=4, rejected=1)
    assert b"secret" not in (await client.get(f"/imports/{found['id']}")).content


async def test_the_records_of_an_upload_are_those_of_a_sync(client, database, synced, tmp_path):
    folder = as_folder(tmp_path / "folder", files())
    # The zone of an earlier sync is that of the upload.
    legacy.sync(database, as_folder(tmp_path / "empty", {"machines/Saw.json": b"{}"}), PARIS)
    found = (await upload(client, as_zip(files() | {"machines/Saw.json": b"{}"}), name="old.zip")).json()
    assert found["read"]["zone"] == "Europe/Paris"
    assert (await done(client, found["id"], "apply"))["state"] == "done"
    as_folder(folder, {"machines/Saw.json": b"{}"})
    assert everything(database) == synced(folder, PARIS)
    assert legacy.clock_zone(database) == PARIS
    (entry, *_) = (await client.get(f"/logs/{UUID.format(1)}/history")).json()["items"]
    assert (entry["via"], entry["op"]) == ("sync", "import")


async def test_the_sqlite_file_is_imported_like_a_sync_of_it(client, database, tmp_path):
    content = as_database(tmp_path / "old.db")
    found = (await upload(client, content, name="whatever.csv")).json()
    assert found["read"]["format"] == "legacy-database"
    assert of(found["preview"]["counts"], "created") == {"machines": 1, "logs": 3, "users": 1, "log_types": 0}
    assert (await done(client, found["id"], "apply"))["report"]["logs"] == counts(created=3)
    assert legacy.sync(database, tmp_path / "old.db", UTC).to_dict()["logs"] == counts(unchanged=3)
    assert (tmp_path / "old.db").read_bytes() == content


@pytest.mark.parametrize("source", ["legacy-tricky", "legacy.db"])
async def test_the_samples_become_what_a_sync_makes_of_them(client, database, synced, shared, source):
    path = shared / "data" / source
    if path.is_dir():
        content = as_zip({p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()})
    else:
        content = path.read_bytes()
    found = (await upload(client, content, name=source)).json()
    applied = await done(client, found["id"], "apply")
    assert applied["state"] == "done", applied
    assert everything(database) == synced(path, UTC)


async def test_undo_deletes_the_logs_and_a_later_import_or_sync_restores_them(client, database, tmp_path):
    folder = as_folder(tmp_path / "folder", files())
    found = (await upload(client, as_zip(files()), name="old.zip")).json()
    await done(client, found["id"], "apply")
    made = everything(database)
    edited = await client.patch(f"/logs/{UUID.format(1)}", json={"action": "Repaired."})
    assert edited.status_code == 200
    undone = await done(client, found["id"], "undo")
    assert (undone["state"], undone["undone"]["deleted"], undone["undone"]["reverted"]) == ("undone", 3, 0)
    assert sorted(undone["undone"]["stay"]["machines"]) == ["Press", "Tour é"]
    assert (undone["undone"]["stay"]["users"], undone["undone"]["kept"]) == (["abc"], 4)
    assert list(everything(database)["logs"]) == [UUID.format(1)]
    again = await done(client, found["id"], "apply")
    assert again["report"]["logs"] == counts(created=3, unchanged=1, rejected=1)
    await done(client, found["id"], "undo")
    report = legacy.sync(database, folder, UTC).to_dict()
    assert report["logs"] == counts(created=3, unchanged=1, rejected=1)
    restored = everything(database)
    restored["logs"][UUID.format(1)]["action"] = None
    assert restored == made
    assert legacy.sync(database, folder, UTC).to_dict()["logs"] == counts(unchanged=4, rejected=1)


async def test_undo_gives_updated_records_their_former_values(client, database, tmp_path):
    folder = as_folder(tmp_path / "folder", files())
    legacy.sync(database, folder, UTC)
    before = everything(database)
    changed = {f"logs/{UUID.format(2)}.json": log(2, comment="Worse", modified=[["2025_08_01__10_00_00", "abc"]])}
    found = (await upload(client, as_zip(files(**changed)), name="old.zip")).json()
    assert found["preview"]["counts"]["logs"] == counts(updated=1, unchanged=3, rejected=1)
    await done(client, found["id"], "apply")
    assert everything(database)["logs"][UUID.format(2)]["comment"] == "Worse"
    assert (await done(client, found["id"], "undo"))["undone"]["reverted"] == 1
    assert everything(database) == before
    # The revert is no edit of the legacy tool, nor one of a user.
    assert legacy.sync(database, folder, UTC).to_dict()["logs"] == counts(unchanged=4, rejected=1)
    again = (await upload(client, as_zip(files(**changed)), name="old.zip")).json()
    assert again["preview"]["counts"]["logs"] == counts(updated=1, unchanged=3, rejected=1)
    report = legacy.export(database, tmp_path / "back", UTC)
    assert report.written["logs"] == 4
    assert (tmp_path / "back/logs" / f"{UUID.format(2)}.json").read_text().count("2025_08_01__10_00_00") == 1


async def test_what_a_killed_worker_has_written_is_undone_and_can_be_imported_again(database_url, folder):
    app = create_app(Settings(database_url=database_url, files=str(folder), open=True))
    async with app.router.lifespan_context(app), client_of(app) as client:
        found = (await upload(client, as_zip(files(logs=6_000)), name="old.zip")).json()
        assert (await settled(client, found["id"]))["state"] == "ready"
        assert (await client.post(f"/imports/{found['id']}/apply")).status_code == 202
        while not (await client.get("/logs?limit=1")).json().get("items"):  # 503 if the machine is busy
            shown = (await client.get(f"/imports/{found['id']}")).json()
            assert (shown["state"], shown["total"]) == ("applying", 6_004)
        (process,) = app.state.imports.workers.processes
        process.kill()
        failed = await settled(client, found["id"])
        assert (failed["state"], failed["undone"]["deleted"] >= 500) == ("failed", True)
        assert (await client.get("/logs?limit=1")).json()["items"] == []
        again = await done(client, found["id"], "apply")
        assert (again["state"], again["report"]["logs"]["created"]) == ("done", 5_999)
    assert verify_database(database_url).faults == []


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_a_failure_undoes_the_batches_before_it(database, database_url, tmp_path, monkeypatch, error):
    table = tmp_path / "old.zip"
    table.write_bytes(as_zip(files(logs=1_200)))
    now = instants.now()
    identity = "01890a5d-ac96-774b-bcce-b302099a8057"
    row = FileImportRead(id=identity, state="reading", file="t", bytes=1, sha256="", created_at=now, expires_at=now)
    lease = database.transact(lambda tx: file_imports.create(tx, row))
    worker, written = LeasedDatabase(database_url, lease), []
    apply = legacy.imports.apply

    def fail_later(tx, steps, context):
        written.append(len(steps))
        if sum(written) > 600:
            raise error
        apply(tx, steps, context)

    monkeypatch.setattr(legacy.imports, "apply", fail_later)
    job = Job("apply", lease, database_url, "UTC", table=str(table), manages_users=True, legacy_zone="UTC")
    try:
        with pytest.raises(type(error)):
            legacy_jobs.apply(job, worker)
    finally:
        worker.close_writer()
    assert len(written) > 3
    assert everything(database)["logs"] == {}
    assert legacy.clock_zone(database) is None


async def test_a_mapping_or_a_resource_is_refused_for_such_a_file(client):
    content = as_zip(files())
    for fields, pointer in (
        ({"mapping": json.dumps(ORDERS)}, "/mapping"),
        ({"resource": "logs"}, "/resource"),
    ):
        answer = await upload(client, content, name="old.zip", **fields)
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["pointer"]) == (422, pointer)
        assert "takes no mapping and no resource" in error["message"]
    assert (await client.get("/imports")).json()["items"] == []
    found = (await upload(client, content, name="old.zip")).json()
    for path, method, body in (("mapping", client.put, ORDERS), ("proposal", client.post, {"read": {"header": 1}})):
        answer = await method(f"/imports/{found['id']}/{path}", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "legacy-file")
    assert (await settled(client, found["id"]))["state"] == "ready"
    assert (await done(client, found["id"], "apply"))["report"]["logs"]["created"] == 4


async def test_only_admins_import_what_creates_or_changes_users(database_url, folder):
    async with opened(database_url, files=str(folder)) as site:
        await site.add_users()
        supervisor, admin = [await site.by_token(name, "admin") for name in ("SUP", "ADM")]
        limited = await site.by_token("ADM", "write")
        content = as_zip(files())
        for client in (supervisor, limited):
            answer = await upload(client, content, name="old.zip")
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
            assert "requires the admin role" in answer.json()["detail"]
        assert (await admin.get("/imports")).json()["items"] == []
        found = (await upload(admin, content, name="old.zip")).json()
        # The rights of the user who applies decide, not those of the uploader.
        failed = await done(supervisor, found["id"], "apply")
        assert (failed["state"], failed["problem"]["code"]) == ("failed", "forbidden")
        assert (await admin.get("/users/abc")).status_code == 404
        assert (await done(admin, found["id"], "apply"))["state"] == "done"
        # A supervisor may import the file again: its user is stored already.
        again = (await upload(supervisor, content, name="old.zip")).json()
        assert again["preview"]["counts"]["users"] == counts(unchanged=1)
        (entry, *_) = (await admin.get(f"/logs/{UUID.format(1)}/history")).json()["items"]
        assert (entry["via"], entry["user"]) == ("sync", "ADM")
        higher = files(**{"employs/eve boss.json": {"trigram": "eve", "authorisation": "admin"}})
        assert (await upload(supervisor, as_zip(higher), name="old.zip")).status_code == 403
