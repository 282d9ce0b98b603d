"""The search index follows every write, and damage is detected and repaired."""

import random
import unicodedata

import pytest

from machine_monitor.api.serving.conditional import ResponseCache
from machine_monitor.database.connect import Database
from machine_monitor.models import LOGS, MACHINES
from machine_monitor.services.checks.verify import REBUILD, verify
from machine_monitor.services.projections import maintenance

WORDS = ("bucket", "tooth", "engine", "Écluse", "PN-0042", "straße", "oil", "🛠", "a.b")
UUID = "018f0000-0000-7000-8000-{:012x}"


@pytest.fixture
def opened(database_url):
    """The database of the client, opened a second time, as by another process."""
    database = Database(database_url)
    yield database
    database.close_writer()


async def find_comments(client, q: str, **more) -> list[str]:
    response = await client.get("/logs", params={"q": q, **more})
    assert response.status_code == 200, response.text
    return [log["comment"] for log in response.json()["items"]]


async def test_the_index_is_correct_after_random_writes(client, opened):
    rng = random.Random(7)
    names = ["Press", "Lathe"]
    for name in names:
        await client.post("/machines", json={"name": name})
    for step in range(150):
        uuid = UUID.format(rng.randrange(30))
        body = {
            "machine": rng.choice(names),
            "type": rng.choice(["info", "error"]),
            "comment": " ".join(rng.choices(WORDS, k=rng.randrange(5))),
            "started_at": f"2025-01-01T00:00:0{rng.randrange(3)}{rng.choice(['', '.5', '.25'])}Z",
        }
        match rng.randrange(6):
            case 0:
                await client.delete(f"/logs/{uuid}")
            case 1:
                await client.patch(f"/logs/{uuid}", json={"cause": rng.choice(WORDS), "started_at": body["started_at"]})
            case 2 if step % 5 == 0:
                place = rng.randrange(len(names))
                renamed = f"{rng.choice(WORDS)} {step}"
                assert (await client.patch(f"/machines/{names[place]}", json={"name": renamed})).status_code == 200
                names[place] = renamed
            case 3:
                await client.post("/logs/bulk", json={"items": [{**body, "uuid": uuid}], "mode": "partial"})
            case _:
                await client.put(f"/logs/{uuid}", json=body)
    await client.post("/users", json={"trigram": "ABC", "first_name": "Ana"})
    await client.patch("/users/ABC", json={"last_name": "Ω"})
    await client.delete("/users/ABC")
    assert verify(opened).faults == []


async def test_a_damaged_index_is_detected_and_repaired(client, opened):
    await write_words(client)
    opened.transact(lambda tx: tx.cursor.execute(tx.engine.fulltext.clear.format(name="logs")))
    assert opened.snapshot(lambda tx: maintenance.find_stale_index_entries(tx, LOGS)) == [1, 2, 3, 4, 5]
    (fault,) = verify(opened).faults
    assert fault.startswith("The search index of logs differs from 5 records (1, 2, 3, 4, 5).")
    assert fault.endswith(REBUILD)
    opened.transact(maintenance.rebuild_search)
    assert verify(opened).faults == []
    assert await find_comments(client, "word2") == ["word2"]


async def test_damaged_folded_texts_are_detected_and_repaired(client, opened):
    await write_words(client)
    opened.transact(lambda tx: tx.cursor.execute("UPDATE logs_folded SET comment = 'other' WHERE id = 3"))
    opened.transact(lambda tx: tx.cursor.execute("DELETE FROM logs_folded WHERE id = 5"))
    assert verify(opened).faults == [f"The table of folded texts of logs differs from 2 records (3, 5). {REBUILD}"]
    opened.transact(maintenance.rebuild_search)
    assert verify(opened).faults == []


async def test_a_rebuild_neither_is_advised_for_forged_records_nor_hides_them(client, opened):
    await write_words(client)
    opened.transact(lambda tx: tx.cursor.execute("UPDATE logs SET comment = 'other' WHERE id = 3"))
    opened.transact(lambda tx: tx.cursor.execute("UPDATE machines SET sector = 'B' WHERE id = 1"))
    assert opened.snapshot(lambda tx: maintenance.find_stale_index_entries(tx, LOGS)) == [3]
    assert opened.snapshot(lambda tx: maintenance.find_stale_index_entries(tx, MACHINES)) == [1]
    faults = verify(opened).faults
    assert len(faults) == 6
    assert not any(REBUILD in fault for fault in faults)
    opened.transact(maintenance.rebuild_search)
    assert verify(opened).faults == faults[:2]
    assert await find_comments(client, "other") == ["other"]


async def write_words(client):
    await client.post("/machines", json={"name": "Press"})
    for number in range(5):
        await client.post("/logs", json={"machine": "Press", "type": "info", "comment": f"word{number}"})


async def test_index_entries_without_a_record_are_detected(client, opened):
    await client.post("/machines", json={"name": "Press"})
    await client.post("/logs", json={"machine": "Press", "type": "info", "comment": "word"})
    for table in ("logs_folded", "logs"):
        opened.transact(
            lambda tx, table=table: (
                tx.cursor.execute("DELETE FROM logs_search WHERE id = 1")
                if tx.engine.name == "postgresql"
                else tx.cursor.execute(f"DELETE FROM {table}")
            )
        )
    assert opened.snapshot(lambda tx: maintenance.find_stale_index_entries(tx, LOGS)) == [1]


@pytest.mark.parametrize(
    ("owner", "name", "new"), [(unicodedata, "unidata_version", "99.0.0"), (maintenance, "RULES", 99)]
)
async def test_texts_are_indexed_again_after_a_change_of_unicode_or_of_the_rules(
    client, opened, monkeypatch, owner, name, new
):
    await client.post("/machines", json={"name": "Press"})
    # The service of a new version has no responses of the old one.
    monkeypatch.setattr(ResponseCache, "find", lambda *_: None)
    uuid = UUID.format(1)
    log = {"uuid": uuid, "machine": "Press", "type": "info", "comment": "word", "attributes": {"part": "XK7711"}}
    await client.post("/logs", json=log, headers={"X-Change-Note": "by night"})
    opened.transact(_make_stale)
    maintenance.prepare_database(opened)
    searches = ["/logs?comment__contains=word", "/logs?q=7711", f"/logs/{uuid}/history?note__contains=night"]
    assert [len((await client.get(path)).json()["items"]) for path in searches] == [0, 0, 0]
    assert len(verify(opened).faults) == 2
    monkeypatch.setattr(owner, name, new)
    maintenance.prepare_database(opened)
    assert [len((await client.get(path)).json()["items"]) for path in searches] == [1, 1, 1]
    assert verify(opened).faults == []


def _make_stale(tx) -> None:
    tx.cursor.execute(tx.engine.fulltext.clear.format(name="logs"))
    tx.cursor.execute("UPDATE logs_folded SET comment = 'stale'")
    with tx.engine.triggers_disabled(tx.cursor, "history"):
        tx.cursor.execute("UPDATE history SET note_folded = 'stale' WHERE note IS NOT NULL")


@pytest.mark.parametrize("sort", ["-started_at", "started_at"])
@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_hits_within_one_second_are_sorted_by_microseconds(client, sort, limit):
    await client.post("/machines", json={"name": "Press"})
    rng = random.Random(3)
    items = [
        {
            "machine": "Press",
            "type": "info",
            "comment": f"word {number}",
            "started_at": f"2025-01-01T00:00:0{rng.randrange(2)}{rng.choice(['', '.5', '.250001', '.999999'])}Z",
        }
        for number in range(24)
    ]
    await client.post("/logs/bulk", json={"items": items})
    expected = [log["comment"] for log in (await client.get(f"/logs?sort={sort}&limit=500")).json()["items"]]
    walked, back, url = [], [], f"/logs?q=word&sort={sort}&limit={limit}"
    page = (await client.get(url)).json()
    while True:
        walked += [log["comment"] for log in page["items"]]
        if page["next"] is None:
            break
        page = (await client.get(f"{url}&cursor={page['next']}")).json()
    while True:
        back = [log["comment"] for log in page["items"]] + back
        if page["previous"] is None:
            break
        page = (await client.get(f"{url}&cursor={page['previous']}")).json()
    assert walked == back == expected
    for offset in (0, 5, 23, 24):
        page = (await client.get(f"{url}&offset={offset}&count=exact")).json()
        assert [log["comment"] for log in page["items"]] == expected[offset : offset + limit]
        assert page["total"] == 24


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"machine": "Press"}, ["a", "b"]),
        ({"machine": ["Press", "Lathe"]}, ["a", "b", "c"]),
        ({"machine": "press"}, []),
        ({"type": "error"}, ["b", "c"]),
        ({"type": "ERROR"}, []),
        ({"type__in": "error,x-1"}, ["b", "c"]),
        ({"type__ne": "error"}, ["a"]),
        ({"started_at": "2025-01-02"}, ["b"]),
        ({"started_at__lt": "2025-01-02T00:00:00.5Z"}, ["a", "b"]),
        ({"started_at__gt": "2025-01-02T00:00:00Z"}, ["c"]),
        ({"started_at": ["2025-01-01", "2025-01-03"]}, ["a", "c"]),
        ({"user__isnull": "true", "sort": "comment"}, ["a", "b", "c"]),
    ],
)
async def test_a_search_can_be_combined_with_any_filter(client, filters, expected):
    for name in ("Press", "Lathe"):
        await client.post("/machines", json={"name": name})
    rows = [("Press", "info", "a", 1), ("Press", "error", "b", 2), ("Lathe", "error", "c", 3)]
    items = [
        {
            "machine": machine,
            "type": kind,
            "comment": comment,
            "cause": "word",
            "started_at": f"2025-01-0{day}T00:00:00Z",
        }
        for machine, kind, comment, day in rows
    ]
    await client.post("/logs/bulk", json={"items": items})
    assert sorted(await find_comments(client, "word", **filters)) == expected
    assert sorted(await find_comments(client, "-nothing", **filters)) == expected


async def test_the_total_of_a_search_is_the_same_on_every_page(client):
    await client.post("/machines", json={"name": "Press"})
    items = [
        {"machine": "Press", "type": "info", "comment": "word", "started_at": f"2025-01-01T00:00:{number:02}Z"}
        for number in range(40)
    ]
    await client.post("/logs/bulk", json={"items": items})
    for count in ("exact", "capped"):
        page, totals = {"next": ""}, []
        while page["next"] is not None:
            cursor = f"&cursor={page['next']}" if page["next"] else ""
            page = (await client.get(f"/logs?q=word&limit=7&count={count}{cursor}")).json()
            totals.append(page["total"])
        assert totals == [40] * 6
