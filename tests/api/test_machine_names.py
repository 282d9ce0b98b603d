"""Names of machines: what a new one needs, and what happens to machines that already have another."""

from zoneinfo import ZoneInfo

from machine_monitor.database.connect import Database
from machine_monitor.models import MACHINES
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.records import storage, validation
from machine_monitor.services.records.bulk import BulkContext, put_all
from machine_monitor.services.records.storage import NewRecord

INVISIBLE = ("\u200b", "\u2060\ufe0f", "\u3164", "\u2800", "\u200e\u200f", "\U000e0041")
DIRECTION = ("abc\u202edef", "\u202aabc\u202c", "\u2066abc\u2069", "abc\u2067")
ALLOWED = ("a\u200bb", "\u0301", "شاحنة\u200f 3", "🚜\ufe0f", "\U0001fae8", "-", "%2F")
SENTENCES = dict.fromkeys(INVISIBLE, "'name' must have a visible character.") | dict.fromkeys(
    DIRECTION,
    "'name' must not contain characters that change the direction of text (U+202A to U+202E, U+2066 to U+2069).",
)


async def test_a_new_name_needs_something_to_see_and_one_direction(client):
    await client.post("/machines", json={"name": "Press"})
    for name, sentence in SENTENCES.items():
        log = {"machine": name, "type": "info", "unlisted": True}
        responses = [
            await client.post("/machines", json={"name": name}),
            await client.put(f"/machines/{name}", json={}),
            await client.patch("/machines/Press", json={"name": name}),
            await client.post("/logs", json=log),
        ]
        assert [response.status_code for response in responses] == [422] * len(responses), (name, responses[0].text)
        for response, pointer in zip(responses, ("/name", "/name", "/name", "/machine"), strict=True):
            assert [(error["message"], error["pointer"]) for error in response.json()["errors"]] == [
                (sentence, pointer)
            ]
    for name in ALLOWED:
        response = await client.post("/machines", json={"name": name})
        assert response.status_code == 201, response.text


async def test_a_machine_that_has_such_a_name_can_be_read_and_edited(client, database_url):
    old = "pump\u202e3"
    values = {**validation.defaults(MACHINES), "name": old, "attachments": [], "attachment_count": 0}
    database = Database(database_url)
    database.transact(lambda tx: storage.insert(tx, MACHINES, [NewRecord(values, {})], "2025-01-01T00:00:00Z", [1]))
    response = await client.post("/logs", json={"machine": old, "type": "info"})
    assert (response.status_code, response.json()["machine"]) == (201, old)
    stored = (await client.get(f"/machines/{old}")).json()
    assert (await client.patch(f"/machines/{old}", json={"sector": "A"})).json()["sector"] == "A"
    assert (await client.patch(f"/machines/{old}", json={"name": old, "sector": "B"})).json()["sector"] == "B"
    replaced = await client.put(f"/machines/{old}", json={"name": old, "sector": "C"})
    assert (replaced.status_code, replaced.json()["sector"]) == (200, "C")
    context = BulkContext(MACHINES, ChangeContext(via="test"), ZoneInfo("UTC"))
    items = [{**stored, "sector": "D"}, {"name": "\u200b"}, {"name": "new"}]
    written = database.transact(lambda tx: put_all(tx, context, items))
    assert [outcome.status for outcome in written] == ["updated", "error", "created"]
    assert (await client.patch(f"/machines/{old}", json={"name": f"{old}\u202e"})).status_code == 422
    assert (await client.patch(f"/machines/{old}", json={"name": "pump 3"})).status_code == 200
    database.close_writer()
