"""`mm verify` compares records with their history, and the schema with that of the code; it says what it leaves out."""

import random
from contextlib import closing

import pytest
from sqlalchemy import text

from conftest import client_of
from machine_monitor.api.app import create_app
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.schema import migrations
from machine_monitor.models import RESOURCES
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.checks import comparison, verify
from query import plant, samples
from services.backup.full_database import fill, verify_database
from services.checks.forgeries import SCHEMA_FORGERIES, Forger, columns_of, every_column, forge_value

CLEAR_HISTORY = {
    "sqlite": ("DROP TRIGGER history_update",),
    "postgresql": ("ALTER TABLE history DISABLE TRIGGER USER",),
}


@pytest.fixture
def forger(database_url):
    with closing(Forger(database_url)) as opened:
        yield opened


def faults_after(forger: Forger, *statements: str) -> list[str]:
    with forger.transaction(*statements) as tx:
        return verify.inspect(tx).faults


def named(faults: list[str], *words: str) -> bool:
    return any(all(word in fault for word in words) for fault in faults)


async def test_every_column_that_clients_can_read_is_compared(database_url, forger):
    await fill(database_url)
    rng = random.Random(2)
    for resource, column in every_column():
        with forger.transaction() as tx:
            forgery = forge_value(tx, rng, resource, column)
            tx.cursor.execute(forgery.statements[0])
            faults = comparison.find_faults(tx, RESOURCES)
        assert named(faults, *forgery.words), (forgery, faults)


def test_the_forgeries_cover_the_read_schemas():
    for resource in RESOURCES:
        assert {*resource.read.model_fields} - {"machine", *resource.child_lists} <= {*columns_of(resource)}


def test_every_change_of_the_schema_is_named(database_url, forger):
    for forgery in SCHEMA_FORGERIES[database_urls.parse(database_url).engine.name]:
        faults = faults_after(forger, *forgery.statements)
        assert named(faults, *forgery.words), (forgery, faults)
    assert faults_after(forger) == []


async def test_a_fault_names_the_record_the_field_and_both_values(client, forger):
    await client.post("/machines", json={"name": "Press", "year_of_acquisition": 1990})
    log = (await client.post("/logs", json={"machine": "Press", "type": "info", "severity": "major"})).json()
    faults = faults_after(
        forger,
        "UPDATE machines SET year_of_acquisition = 1950, in_service = false",
        "UPDATE logs SET severity = 0, comment = '\x1b[2J'",
        "INSERT INTO users (trigram, trigram_key, role, active, version, created_at, updated_at) "
        "SELECT 'EVE', 'eve', 4, true, 1, created_at, updated_at FROM logs",
    )
    assert faults[:5] == [
        'The machine "Press" (record 1): the history says `year_of_acquisition` is 1990, the row says 1950.',
        'The machine "Press" (record 1): the history says `in_service` is true, the row says false.',
        f'The log "{log["uuid"]}" (record 1): the history says `severity` is "major", the row says "info".',
        f'The log "{log["uuid"]}" (record 1): the history says `comment` is null, the row says "\\u001b[2J".',
        'The user "EVE" (record 1) has a row, but no history.',
    ]


async def test_at_most_ten_faults_of_a_kind_are_listed(client, forger):
    await client.post("/machines", json={"name": "Press"})
    items = [{"machine": "Press", "type": "info"} for _ in range(30)]
    await client.post("/logs/bulk", json={"items": items})
    with forger.transaction("UPDATE logs SET comment = 'forged', version = 9", "DELETE FROM logs WHERE id = 30") as tx:
        faults = comparison.find_faults(tx, RESOURCES)
    assert len(faults) == 10 + 1 + 1
    assert "record 30) has a history, but its row is missing." in faults[-2]
    assert faults[-1] == "48 more values of logs differ from their history."


@pytest.mark.parametrize(
    "overwrite",
    [
        lambda client, path: client.patch(path, json={"comment": "mine"}),
        lambda client, path: client.delete(path),
    ],
    ids=["update", "delete"],
)
async def test_a_forged_value_is_found_after_it_was_overwritten(client, database_url, overwrite):
    await client.post("/machines", json={"name": "Press"})
    created = (await client.post("/logs", json={"machine": "Press", "type": "info", "comment": "true"})).json()
    run(database_url, "UPDATE logs SET comment = 'forged'")
    assert (await overwrite(client, f"/logs/{created['uuid']}")).is_success
    faults = verify_database(database_url).faults
    assert named(faults, created["uuid"], "entry 10", '`comment` "forged"', '"true"')


async def test_a_deleted_log_that_was_forged_and_restored_is_found(client, database_url):
    await client.post("/machines", json={"name": "Press"})
    created = (await client.post("/logs", json={"machine": "Press", "type": "info", "comment": "true"})).json()
    await client.delete(f"/logs/{created['uuid']}")
    run(database_url, "UPDATE logs SET comment = 'forged', version = 7")
    assert (await client.post(f"/logs/{created['uuid']}/restore")).status_code == 200
    faults = verify_database(database_url).faults
    assert named(faults, "entry 11", '`comment` "forged"')
    assert named(faults, "entry 11", "`version` 7")


async def test_renames_and_merges_count_for_the_logs_that_a_machine_has_at_that_time(client, database_url):
    for name in ("A", "B", "C"):
        await client.post("/machines", json={"name": name})
    logs = [(await client.post("/logs", json={"machine": name, "type": "info"})).json()["uuid"] for name in "ABCAB"]
    await client.delete(f"/logs/{logs[3]}")
    for path, body in (
        ("/machines/A", {"name": "D"}),
        ("/machines/B", {"name": "A"}),
        (f"/logs/{logs[0]}", {"machine": "A"}),
        ("/machines/D", {"name": "B"}),
        ("/machines/A", {"name": "a"}),
        (f"/logs/{logs[2]}", {"machine": "B"}),
    ):
        assert (await client.patch(path, json=body)).status_code == 200
    for name, into in (("b", "a"), ("a", "C")):
        assert (await client.post(f"/machines/{name}/merge", json={"into": into})).status_code == 200
    assert (await client.post("/machines", json={"name": "A"})).status_code == 201
    await client.post("/logs", json={"machine": "a", "type": "info"})
    assert (await client.patch("/machines/C", json={"name": "B"})).status_code == 200
    assert (await client.post(f"/logs/{logs[3]}/restore")).status_code == 200
    assert verify_database(database_url).faults == []


@pytest.mark.parametrize("seed", range(3))
async def test_random_writes_are_verified(client, database_url, seed):
    await samples.seed(client)
    rng, names = random.Random(seed), [machine["name"] for machine in samples.MACHINES]
    for step in range(150):
        log = f"/logs/{samples.uuid_of(rng.randrange(len(samples.LOGS)) + 1)}"
        place = rng.randrange(len(names))
        match rng.randrange(8):
            case 0:
                names[place] = f"{rng.choice(['Ä', 'Tour', 'x'])} {step}"
                machine = (await client.get("/machines", params={"limit": 50, "sort": "name"})).json()["items"][place]
                await client.patch(f"/machines/{machine['name']}", json={"name": names[place]})
            case 1:
                names = [item["name"] for item in (await client.get("/machines?limit=50")).json()["items"]]
                source, receiver = rng.choice(names), rng.choice(names)
                await client.post(f"/machines/{source}/merge", json={"into": receiver})
                names = [item["name"] for item in (await client.get("/machines?limit=50")).json()["items"]]
            case 2:
                await client.delete(log)
            case 3:
                await client.post(f"{log}/restore")
            case 4:
                body = {"machine": f"new {step}", "type": "info", "unlisted": True}
                await client.post("/logs", json=body)
                names.append(body["machine"])
            case 5:
                items = [{"machine": rng.choice(names), "type": "error", "comment": str(step)} for _ in range(3)]
                await client.post("/logs/bulk", json={"items": items, "mode": "partial"})
            case _:
                await client.patch(log, json={"machine": rng.choice(names), "attributes": {"n": step / 7, "ok": True}})
    assert verify_database(database_url).faults == []


def test_a_field_younger_than_the_history_has_its_default(empty_url):
    url = database_urls.parse(empty_url)
    migrations.upgrade(url, "0007")
    insert = """INSERT INTO machines (id, name, name_key, in_service, attributes, version, created_at, updated_at)
    VALUES (1, 'Press', 'press', true, '{{}}', 1, '{0}', '{0}')"""
    entry = hash_chain.HistoryEntry(
        *("machines", 1, "Press", "2025-01-01T00:00:00Z", None, "session", None, "create", 1, None),
        changes='{"name":[null,"Press"],"in_service":[null,true],"attributes":[null,{}]}',
    )
    at = "2025-01-01T00:00:00" + ("Z" if url.path is None else "")
    with migrations.transaction(url) as connection:
        connection.execute(text(insert.format(at).replace(":00", "\\:00")))
        connection.execute(text("INSERT INTO machines_folded (id, name) VALUES (1, 'press')"))
    migrations.upgrade(url)
    database = Database(empty_url)
    database.transact(lambda tx: hash_chain.append(tx, [entry]))
    faults = database.snapshot(lambda tx: comparison.find_faults(tx, RESOURCES))
    database.close_writer()
    assert faults == []


JOB = {"code": "j", "station": "S1", "spare": "S1", "kind": "k", "lines": [{"part": "a"}, {"part": "b"}]}
PLANT_WRITES = (
    ("POST", "/sites", {"name": "North"}),
    ("POST", "/stations", {"name": "S1", "site": "North"}),
    ("POST", "/kinds", {"code": "k"}),
    ("POST", "/jobs", JOB),
    ("PATCH", "/sites/North", {"name": "South"}),
    ("PATCH", "/stations/S1", {"name": "S2"}),
    ("PATCH", "/jobs/j", {"lines": [{"part": "b", "quantity": 2}, {"part": "a"}]}),
)
PLANT_FORGERIES = {
    "UPDATE job_lines SET quantity = 3 WHERE position = 0": ["`lines`", '"j"'],
    "DELETE FROM job_lines WHERE position = 1": ["`lines`", '"j"'],
    "UPDATE jobs SET line_count = 3": ["`line_count` is 2", "3"],
    "UPDATE jobs SET spare_id = NULL": ['`spare` is "S2"', "null"],
    "UPDATE stations SET site_id = NULL": ['`site` is "South"', "null"],
}


async def test_lists_inside_records_and_relations_of_several_levels_are_compared(database_url, forger):
    with forger.transaction() as tx:
        plant.create_tables(tx)
        tx.cursor.execute("COMMIT")
        tx.cursor.execute("BEGIN")
    app = create_app(Settings(database_url=database_url, open=True))
    for resource in plant.RESOURCES:
        app.router.routes.extend(plant.routes(resource).routes)
    async with app.router.lifespan_context(app), client_of(app) as client:
        for method, path, body in PLANT_WRITES:
            assert (await client.request(method, path, json=body)).is_success
    with forger.transaction() as tx:
        assert comparison.find_faults(tx, plant.RESOURCES) == []
    for statement, words in PLANT_FORGERIES.items():
        with forger.transaction(statement) as tx:
            faults = comparison.find_faults(tx, plant.RESOURCES)
        assert named(faults, *words), (statement, faults)


def test_what_has_no_history_is_named(database_url):
    (note,) = verify_database(database_url).notes
    assert all(word in note for word in ("passwords", "tokens", "sessions", "invitations"))


def test_an_index_by_other_rules_is_not_compared(database_url):
    run(database_url, "UPDATE derived SET value = '1.0' WHERE name = 'search'")
    verdict = verify_database(database_url)
    assert verdict.faults == []
    assert any("made by other rules" in note for note in verdict.notes)


async def test_a_history_that_cannot_be_read_is_a_fault(client, forger):
    await client.post("/machines", json={"name": "Press"})
    for changes in ("[", "[]", '{"name": 1}', '{"name": [null, 3], "severity": [null, []]}'):
        engine = forger.engine.name
        faults = faults_after(forger, *CLEAR_HISTORY[engine], f"UPDATE history SET changes = '{changes}' WHERE seq = 8")
        assert named(faults, "hash chain is broken")
        assert named(faults, '"Press"', "`name`")


def run(url: str, statement: str) -> None:
    database = Database(url)
    database.transact(lambda tx: tx.cursor.execute(statement))
    database.close_writer()
