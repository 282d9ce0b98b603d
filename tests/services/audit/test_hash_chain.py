"""The hash chain of the history detects changes to entries by an attacker who bypasses the triggers."""

import asyncio
import random

import pytest

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.errors import Conflict, DatabaseFault, UsageError
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.audit.history import ChangeContext, EntryTarget, append_entry
from machine_monitor.services.checks.verify import verify
from query import samples

TAMPERED = 100
# Changes of each column to the value of another entry, or to a similar value.
CHANGED = {
    "resource": "'machines'",
    "record_id": "record_id + 1",
    "key": "key || ' '",
    "user": "coalesce(\"user\", '') || 'X'",
    "via": "'session'",
    "request_id": "coalesce(request_id, '') || '1'",
    "op": "CASE op WHEN 'update' THEN 'create' ELSE 'update' END",
    "version": "version + 1",
    "note": "coalesce(note, '') || ' '",
    "changes": "replace(changes, '{', '{ ')",
    "seq": "seq + 1000000",
    "hash": "NULL",
}
TIMES = {"sqlite": "at || '.5'", "postgresql": "at + INTERVAL '1 microsecond'"}
UNLOCK = {
    "sqlite": ("DROP TRIGGER history_update", "DROP TRIGGER history_delete"),
    "postgresql": ("ALTER TABLE history DISABLE TRIGGER USER",),
}


@pytest.fixture
def opened(database_url):
    database = Database(database_url)
    yield database
    database.close_writer()


async def write_history(client) -> None:
    await samples.seed(client)
    for log in (await client.get("/logs", params={"limit": 60})).json()["items"]:
        note = {"X-Change-Note": "seen again"}
        await client.patch(f"/logs/{log['uuid']}", json={"comment": "seen", "severity": "minor"}, headers=note)


class Undone(Exception):
    """Rolls a transaction back."""


def faults_after(database: Database, *statements: str, known: hash_chain.Head | None = None) -> list[str]:
    """Run statements, verify the history, roll back, and return the faults."""
    found = []

    def tamper(tx):
        for statement in (*UNLOCK[tx.engine.name], *statements):
            tx.cursor.execute(statement)
            assert tx.cursor.rowcount != 0, statement
        found.extend(hash_chain.verify(tx, known))
        raise Undone

    with pytest.raises(Undone):
        database.transact(tamper)
    return found


@pytest.mark.proof("a row of the history tampered with")
async def test_every_tampered_entry_is_detected(client, opened, record_counts):
    await write_history(client)
    assert verify(opened).faults == []
    seqs = [row[0] for row in opened.snapshot(lambda tx: rows(tx, "SELECT seq FROM history"))]
    changed = CHANGED | {"at": TIMES[opened.engine.name]}
    rng = random.Random(1)
    for number in range(TAMPERED):
        column, seq = list(changed)[number % len(changed)], rng.choice(seqs[:-1])
        update = f'UPDATE history SET "{column}" = {changed[column]} WHERE seq = {seq}'
        assert faults_after(opened, update) != [], update
    assert verify(opened).faults == []
    record_counts(TAMPERED, found=TAMPERED)


async def test_removed_and_reordered_entries_are_detected(client, opened):
    await write_history(client)
    seqs = [row[0] for row in opened.snapshot(lambda tx: rows(tx, "SELECT seq FROM history ORDER BY seq"))]
    for seq in (seqs[0], seqs[len(seqs) // 2], seqs[-2]):
        assert faults_after(opened, f"DELETE FROM history WHERE seq = {seq}") != []
    one, other = seqs[10], seqs[11]
    swap = [
        f"UPDATE history SET seq = -1 WHERE seq = {one}",
        f"UPDATE history SET seq = {one} WHERE seq = {other}",
        f"UPDATE history SET seq = {other} WHERE seq = -1",
    ]
    assert faults_after(opened, *swap) != []


async def test_a_truncated_history_is_detected_with_an_earlier_head(client, opened):
    await write_history(client)
    head = verify(opened).head
    assert hash_chain.parse_head(str(head)) == head
    cut = f"DELETE FROM history WHERE seq >= {head.seq - 3}"
    assert faults_after(opened, cut) == []
    assert faults_after(opened, cut, known=head) != []
    await client.post("/machines", json={"name": "later"})
    assert verify(opened, head).faults == []
    assert verify(opened, head._replace(hash=bytes(32))).faults != []


async def test_each_month_has_the_head_that_the_history_had_at_its_end(client, opened):
    await write_history(client)

    def write(tx, month):
        target = EntryTarget("logs", 1, "x", 1)
        append_entry(tx, "update", target, {}, ChangeContext("test", at=f"{month}-28T23:59:59.5Z"))

    heads = {}
    # The second is an edit of an earlier time that was imported later.
    for month, written_in in (("2031-01", "2031-01"), ("2030-08", "2031-01"), ("2031-03", "2031-03")):
        opened.transact(lambda tx, month=month: write(tx, month))
        heads[written_in] = opened.snapshot(hash_chain.head)
    found = opened.snapshot(hash_chain.month_heads)
    assert {month: head for month, head in found.items() if month >= "2030"} == heads
    assert [*found] == sorted(found)
    for head in found.values():
        assert not any("expected head" in fault for fault in verify(opened, head).faults)


@pytest.mark.parametrize("text", ["", "1", "1:", ":", f"x:{'0' * 64}", f"1:{'0' * 63}", f"1:{'0' * 65}", "1:é"])
def test_an_invalid_head_is_refused(text):
    with pytest.raises(UsageError, match="hexadecimal"):
        hash_chain.parse_head(text)


@pytest.mark.parametrize("statement", ["UPDATE history SET note = 'x'", "DELETE FROM history"])
def test_the_database_itself_forbids_changes(opened, statement):
    with pytest.raises((Conflict, DatabaseFault)):
        opened.transact(lambda tx: tx.cursor.execute(statement))
    assert verify(opened).faults == []


async def test_the_hash_chain_is_valid_after_concurrent_writes(database_url, opened):
    async with serving(Settings(database_url=database_url)) as one, serving(Settings(database_url=database_url)) as two:
        await one.post("/machines", json={"name": "Press"})
        bodies = [{"machine": "Press", "type": "info", "comment": str(number)} for number in range(60)]
        posts = [client.post("/logs", json=body) for client in (one, two) for body in bodies]
        responses = await asyncio.gather(*posts)
    assert {response.status_code for response in responses} == {201}
    verdict = verify(opened)
    assert verdict.faults == []
    assert verdict.head.seq == 7 + 1 + 120


def rows(tx, statement):
    tx.cursor.execute(statement)
    return tx.cursor.fetchall()
