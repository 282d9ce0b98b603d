"""Attachments of logs and machines: upload, read, rename, remove; history, search, rights, and what a PUT repeats."""

import asyncio
import json
import threading
from urllib.parse import quote

import pytest
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from api.files.samples import attach, digest, image, new_id, new_log, part, path_of
from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.models.log import Log, LogRead
from machine_monitor.services.checks.verify import verify
from machine_monitor.services.files import decoding, receiving
from machine_monitor.services.files.store import FolderStore
from models.conftest import session_on

PDF = b"%PDF-1.7\n%\xe2\xe3\n" + b"\0" * 100


async def history(client, path):
    return (await client.get(f"{path}/history")).json()["items"]


def verification_faults(url: str) -> list[str]:
    database = Database(url)
    try:
        return verify(database).faults
    finally:
        database.close_writer()


async def test_files_are_added_read_renamed_and_removed(client, database_url):
    log = await new_log(client, comment="It leaks.")
    assert (log["attachments"], log["attachment_count"]) == ([], 0)
    response = await attach(client, log, part(image(), "plate.jpg"), part(PDF, "manual.pdf"))
    assert response.headers["ETag"] == '"2"'
    assert response.content == (await client.get(path_of(log))).content
    photo, manual = response.json()["attachments"]
    expected = {"name": "plate.jpg", "media_type": "image/jpeg", "bytes": len(image()), "width": 64, "height": 48}
    assert photo == photo | expected | {"sha256": digest(image()), "user": None}
    assert manual == manual | {"name": "manual.pdf", "media_type": "application/pdf", "width": None, "height": None}
    assert (await client.get(f"/attachments/{photo['id']}")).content == image()
    renamed = await client.patch(f"{path_of(log)}/attachments/{manual['id'].upper()}", json={"name": "Été.pdf"})
    assert (renamed.status_code, renamed.headers["ETag"]) == (200, '"3"')
    assert [each["name"] for each in renamed.json()["attachments"]] == ["plate.jpg", "Été.pdf"]
    removed = await client.delete(f"{path_of(log)}/attachments/{photo['id']}")
    assert (removed.status_code, removed.headers["ETag"], removed.content) == (204, '"4"', b"")
    assert (await client.get(path_of(log))).json()["attachment_count"] == 1
    assert (await client.get(f"/attachments/{photo['id']}")).status_code == 404
    # The other fields keep their values, and the history has each digest before and after.
    assert (await client.get(path_of(log))).json()["comment"] == "It leaks."
    entries = await history(client, path_of(log))
    assert [entry["op"] for entry in entries] == ["update", "update", "update", "create"]
    assert [entry["changes"].keys() for entry in entries[1:3]] == [{"attachments"}, {"attachments", "attachment_count"}]
    assert entries[2]["changes"]["attachment_count"] == [0, 2]
    assert entries[0]["changes"]["attachments"][0][0]["sha256"] == digest(image())
    assert [row["sha256"] for row in entries[2]["changes"]["attachments"][1]] == [digest(image()), digest(PDF)]
    assert verification_faults(database_url) == []


async def test_a_deleted_log_hides_its_files_and_a_restored_one_shows_them(client, database_url):
    log = await new_log(client)
    attachment = (await attach(client, log, part(image()))).json()["attachments"][0]
    await client.delete(path_of(log))
    assert (await client.get(f"/attachments/{attachment['id']}")).status_code == 410
    assert (await client.get(f"/attachments/{attachment['id']}/preview")).status_code == 410
    assert (await client.post(f"{path_of(log)}/attachments", files=[part(image())])).status_code == 410
    restored = (await client.post(f"{path_of(log)}/restore")).json()
    assert (restored["attachments"], restored["attachment_count"]) == ([attachment], 1)
    assert (await client.get(f"/attachments/{attachment['id']}")).content == image()
    assert verification_faults(database_url) == []


async def test_a_put_by_id_can_be_repeated(client):
    log, identity = await new_log(client), new_id()
    path = f"{path_of(log)}/attachments/{identity}"
    first = await client.put(path, params={"name": "a.jpg"}, content=image(), headers={"If-Match": '"1"'})
    assert (first.status_code, first.headers["ETag"]) == (201, '"2"')
    assert first.json()["attachments"][0]["id"] == identity
    # The response was lost: the client repeats the request, with the ETag that it knew.
    again = await client.put(path, params={"name": "b.jpg"}, content=image(), headers={"If-Match": '"1"'})
    assert (again.status_code, again.headers["ETag"], again.content) == (200, '"2"', first.content)
    assert (await client.put(path, content=PDF)).status_code == 409
    other = await new_log(client)
    assert (await client.put(f"{path_of(other)}/attachments/{identity}", content=image())).status_code == 409
    assert (await client.put(f"/machines/Press/attachments/{identity}", content=image())).status_code == 409
    stale = await client.put(f"{path_of(log)}/attachments/{new_id()}", content=PDF, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["current"]["version"]) == (412, 2)
    assert (await client.put(f"{path_of(log)}/attachments/7", content=PDF)).status_code == 422
    assert (await client.put(f"/logs/{new_id()}/attachments/{new_id()}", content=PDF)).status_code == 404
    assert (await client.get(path_of(log))).json()["attachment_count"] == 1


async def test_a_log_is_created_with_its_files_or_not_at_all(client, folder):
    await client.put("/machines/Press", json={})
    log = {"machine": "Press", "type": "error", "comment": "See the photo."}
    send = {"files": [("log", (None, json.dumps(log))), part(image(), "1.jpg"), part(PDF, "2.pdf")]}
    response = await client.post("/logs", **send, headers={"Idempotency-Key": "k"})
    assert (response.status_code, response.json()["version"]) == (201, 1), response.text
    assert [each["name"] for each in response.json()["attachments"]] == ["1.jpg", "2.pdf"]
    (created,) = await history(client, response.headers["Location"])
    assert len(created["changes"]["attachments"][1]) == 2
    # A retry has another boundary; it is the same request.
    again = await client.post("/logs", **send, headers={"Idempotency-Key": "k"})
    assert (again.content, again.headers["Idempotency-Replayed"]) == (response.content, "true")
    other = {"files": [("log", (None, json.dumps(log))), part(PDF, "1.jpg"), part(PDF, "2.pdf")]}
    reused = await client.post("/logs", **other, headers={"Idempotency-Key": "k"})
    assert reused.json()["code"] == "idempotency-key-reused"
    for parts, pointer in (([part(PDF)], "/log"), ([("v", (None, "1"))], "/v")):
        faulty = await client.post("/logs", files=parts, headers={"Idempotency-Key": "other"})
        assert (faulty.status_code, faulty.json()["errors"][0]["pointer"]) == (422, pointer)
    before = {*folder.rglob("*")}
    new_file = part(b"text that is nowhere else")
    for broken in (json.dumps({**log, "machine": "none"}), json.dumps({**log, "severity": "bad"}), "{"):
        refused = await client.post("/logs", files=[("log", (None, broken)), new_file])
        assert refused.status_code in (400, 422), refused.text
    assert (await client.post("/logs", files=[new_file])).json()["errors"][0]["pointer"] == "/log"
    assert len((await client.get("/logs")).json()["items"]) == 1
    # Previews of the first request's photo are made in the background.
    left = [path for path in {*folder.rglob("*")} - before if path.is_file() and "previews" not in path.parts]
    assert left == []


async def test_a_machine_has_files_that_a_merge_moves(client, database_url):
    for name in ("Press", "Presse 2"):
        await client.put(f"/machines/{quote(name)}", json={"comment": "x"})
    await client.put(f"/machines/Press/attachments/{new_id()}?name=plate.jpg", content=image())
    response = await client.post("/machines/presse%202/attachments", files=[part(PDF, "manual.pdf")])
    assert (response.status_code, response.json()["name"], response.headers["ETag"]) == (201, "Presse 2", '"2"')
    merged = (await client.post("/machines/Presse%202/merge", json={"into": "Press"})).json()
    assert [each["name"] for each in merged["attachments"]] == ["plate.jpg", "manual.pdf"]
    assert merged["comment"] == "x"
    assert (await client.get(f"/attachments/{merged['attachments'][1]['id']}")).content == PDF
    await client.patch("/machines/Press", json={"name": "Press 1"})
    assert (await client.get("/machines", params={"q": "manual"})).json()["items"][0]["name"] == "Press 1"
    assert verification_faults(database_url) == []
    assert (await client.delete("/machines/Press%201")).status_code == 204
    assert (await client.get(f"/attachments/{merged['attachments'][1]['id']}")).status_code == 404
    assert verification_faults(database_url) == []


async def test_attachments_in_a_body_are_ignored(client):
    log = await new_log(client)
    log = (await attach(client, log, part(image()))).json()
    invented = {"attachments": [{"id": 7}], "attachment_count": "many"}
    created = await client.post("/logs", json={"machine": "Press", "type": "info", **invented})
    assert (created.status_code, created.json()["attachments"]) == (201, []), created.text
    for method, body in (("PUT", log), ("PATCH", invented), ("PUT", {**log, **invented})):
        response = await client.request(method, path_of(log), json=body)
        assert (response.status_code, response.json()) == (200, log), response.text
    changed = (await client.put(path_of(log), json={"machine": "Press", "type": "info", "comment": "new"})).json()
    assert (changed["attachments"], changed["version"]) == (log["attachments"], 3)
    bulk = await client.post("/logs/bulk", json={"items": [{**changed, **invented, "comment": "newer"}]})
    assert bulk.json()["counts"]["updated"] == 1
    assert (await client.get(path_of(log))).json()["attachments"] == log["attachments"]
    machine = await client.post("/machines", json={"name": "Saw", **invented})
    assert (machine.status_code, machine.json()["attachment_count"]) == (201, 0)


async def test_lists_filter_sort_search_and_export_attachments(client):
    plain, one, two = [await new_log(client, comment=f"n{number}") for number in range(3)]
    await attach(client, one, part(image(), "Typenschild Nordwärts.JPG"))
    await attach(client, two, part(PDF, "handbook.pdf"), part(b"a,b", "values.csv"))
    queries = {
        "attachments.name__contains=NORDWARTS": ["n1"],
        "attachments.media_type__startswith=image/": ["n1"],
        "attachments.media_type=text/plain": ["n2"],
        f"attachments.sha256={digest(PDF)}": ["n2"],
        "attachments.bytes__lt=10": ["n2"],
        "attachments.width__isnull=false": ["n1"],
        "attachment_count=0": ["n0"],
        "attachment_count__gte=1&sort=-attachment_count": ["n2", "n1"],
        "q=nordwarts": ["n1"],
        'q="handbook pdf"': ["n2"],
        'q="pdf values"': [],
        "machine.attachment_count=0&sort=comment": ["n0", "n1", "n2"],
    }
    for query, expected in queries.items():
        response = await client.get(f"/logs?{query}")
        assert [item["comment"] for item in response.json()["items"]] == expected, (query, response.text)
    chosen = (await client.get(f"{path_of(one)}?fields=attachments&expand=machine")).json()
    assert chosen["attachments"][0]["name"] == "Typenschild Nordwärts.JPG"
    assert chosen["expanded"]["machine"]["attachments"] == []
    rows = (await client.get("/logs.ndjson?sort=comment")).text.splitlines()
    assert [json.loads(row)["attachment_count"] for row in rows] == [0, 1, 2]
    csv = (await client.get("/logs.csv?fields=comment,attachments&sort=comment")).text.splitlines()
    assert csv[1] == "n0,[]"
    assert digest(PDF) in csv[3]
    assert plain["attachments"] == []


async def test_a_record_has_at_most_50_files_and_a_request_10(client):
    log = await new_log(client)
    for _ in range(5):
        await attach(client, log, *[part(b"same", f"{number}.txt") for number in range(10)])
    full = await client.post(f"{path_of(log)}/attachments", files=[part(b"x")])
    assert (full.status_code, full.json()["errors"][0]["code"]) == (409, "too-many")
    assert (await client.put(f"{path_of(log)}/attachments/{new_id()}", content=b"x")).status_code == 409
    other = await new_log(client)
    many = await client.post(f"{path_of(other)}/attachments", files=[part(b"x")] * 11)
    assert (many.status_code, many.json()["errors"][0]["code"]) == (422, "too-many")
    assert (await client.get(path_of(other))).json()["version"] == 1


@pytest.mark.parametrize("name", ["a/b.jpg", "a\\b", "\u202egpj.exe", "a\nb", "", "x" * 201, "..", " a"])
async def test_a_new_name_is_refused_if_it_is_no_file_name(client, name):
    log = (await attach(client, await new_log(client), part(b"x"))).json()
    response = await client.patch(f"{path_of(log)}/attachments/{log['attachments'][0]['id']}", json={"name": name})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/name")


async def test_a_form_must_be_whole_and_have_files(client):
    log = await new_log(client)
    path = f"{path_of(log)}/attachments"
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    whole = b'--b\r\nContent-Disposition: form-data; name="files"; filename="f"\r\n\r\nx\r\n--b--\r\n'
    cases = [
        (400, form, whole[:-8]),
        (400, form, b"nothing"),
        (400, {"Content-Type": "multipart/form-data"}, whole),
        (400, {"Content-Type": f"multipart/form-data; boundary={'b' * 999}"}, whole),
        (422, form, whole.replace(b"files", b"other")),
        (422, form, b"--b--\r\n"),
        (415, {"Content-Type": "application/json"}, b"{}"),
    ]
    for status, headers, body in cases:
        response = await client.post(path, headers=headers, content=body)
        assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json"), body
    assert (await client.post(path, headers=form, content=whole)).status_code == 201
    assert (await client.get(path_of(log))).json()["attachment_count"] == 1


async def test_a_put_takes_no_form_with_files(client, folder):
    log = await new_log(client, comment="before")
    body = ("log", (None, json.dumps({"machine": "Press", "type": "info", "comment": "after"})))
    response = await client.put(path_of(log), files=[body, part(b"x")])
    assert (response.status_code, response.json()["code"]) == (415, "unsupported-media-type")
    assert (await client.get(path_of(log))).json() == log
    assert [path for path in folder.rglob("*") if path.is_file()] == []


async def test_a_file_may_be_too_large(database_url, folder):
    async with serving(Settings(database_url=database_url, files=str(folder), max_file="10KiB")) as client:
        log = await new_log(client)
        fits = await client.put(f"{path_of(log)}/attachments/{new_id()}", content=b"x" * 10240)
        assert fits.status_code == 201
        large = b"x" * 10241

        async def chunks():
            yield large

        for content in (large, chunks()):
            response = await client.put(f"{path_of(log)}/attachments/{new_id()}", content=content)
            assert (response.status_code, response.json()["code"]) == (413, "file-too-large")
        response = await client.post(f"{path_of(log)}/attachments", files=[part(b"small"), part(large)])
        assert (response.status_code, response.json()["code"]) == (413, "file-too-large")
        assert (await client.get(path_of(log))).json()["attachment_count"] == 1
    assert [*folder.glob("incoming/*")] == []


async def test_without_a_folder_uploads_are_refused_and_the_rest_works(postgresql_database_url):
    async with serving(Settings(database_url=postgresql_database_url)) as client:
        log = await new_log(client)
        for response in (
            await client.post(f"{path_of(log)}/attachments", files=[part(image())]),
            await client.put(f"{path_of(log)}/attachments/{new_id()}", content=image()),
            await client.post("/logs", files=[("log", (None, '{"machine": "Press", "type": "info"}')), part(image())]),
        ):
            assert (response.status_code, response.json()["code"]) == (503, "files-unavailable")
            assert "MM_FILES" in response.json()["detail"]
        assert (await client.get(path_of(log))).json() == log


async def test_too_many_uploads_at_once_are_refused_in_words_about_files(database_url, folder, monkeypatch):
    monkeypatch.setattr(receiving, "UPLOADS", 1)
    monkeypatch.setattr(receiving, "WAIT_SECONDS", 0.05)
    received, finish = asyncio.Event(), asyncio.Event()

    async def slow():
        received.set()
        await finish.wait()
        yield b"x"

    async with serving(Settings(database_url=database_url, files=str(folder))) as client:
        path = f"{path_of(await new_log(client))}/attachments"
        first = asyncio.create_task(client.put(f"{path}/{new_id()}", content=slow()))
        await received.wait()
        refused = await client.put(f"{path}/{new_id()}", content=b"y")
        finish.set()
        assert (await first).status_code == 201
        require_busy(refused, "receiving too many files")
        assert (await client.put(f"{path}/{new_id()}", content=b"y")).status_code == 201


async def test_too_many_files_that_are_decoded_at_once_are_refused_in_words_about_files(
    database_url, folder, monkeypatch
):
    monkeypatch.setattr(decoding, "PROCESSES", 1)
    monkeypatch.setattr(decoding, "WAIT_SECONDS", 0.05)
    started, finish = threading.Event(), threading.Event()

    def slow_run(*_):
        started.set()
        finish.wait()

    monkeypatch.setattr(decoding, "run", slow_run)
    async with serving(Settings(database_url=database_url, files=str(folder))) as client:
        path = f"{path_of(await new_log(client))}/attachments"
        first = asyncio.create_task(client.put(f"{path}/{new_id()}", content=b"x"))
        await asyncio.to_thread(started.wait)
        refused = await client.put(f"{path}/{new_id()}", content=b"y")
        finish.set()
        assert (await first).status_code == 201
        require_busy(refused, "decoding too many files")


def require_busy(response, words):
    problem = response.json()
    assert (response.status_code, problem["code"], response.headers["Retry-After"]) == (503, "files-unavailable", "5")
    assert words in problem["detail"]
    assert "database" not in f"{problem['title']} {problem['detail']}".lower()


async def test_a_loaded_log_shows_its_attachments(client, database_url):
    """`LogRead` of a row is the JSON of its GET, for logs with files too."""
    log = (await attach(client, await new_log(client), part(image()), part(PDF))).json()
    async with session_on(database_url) as session:
        row = (await session.scalars(select(Log).options(joinedload(Log.machine_row)))).one()
        assert json.loads(LogRead.model_validate(row).model_dump_json()) == log


async def test_a_store_that_cannot_be_read_is_a_problem(client, monkeypatch):
    log = (await attach(client, await new_log(client), part(PDF))).json()

    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(FolderStore, "open", fail)
    response = await client.get(f"/attachments/{log['attachments'][0]['id']}")
    assert (response.status_code, response.json()["code"]) == (503, "files-unavailable")
