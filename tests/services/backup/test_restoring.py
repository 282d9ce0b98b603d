"""A backup is restored exactly, on either engine, or refused with a clear error."""

import json
import os
import sqlite3

import pytest

from conftest import prepare
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.engines.sqlite import files
from machine_monitor.database.schema import migrations
from machine_monitor.errors import SchemaMismatch, UsageError
from machine_monitor.services import backup
from machine_monitor.services.backup import manifest
from machine_monitor.services.backup.transfer import TABLES
from services.backup.full_database import api_responses, fill, is_empty, restore, save, stored_rows, verify_database

UNLOCK = {
    "sqlite": "DROP TRIGGER history_update",
    "postgresql": "ALTER TABLE history DISABLE TRIGGER USER",
}


async def test_a_restored_backup_equals_the_original(database_url, empty_url, folder):
    await fill(database_url)
    before, responses = stored_rows(database_url), await api_responses(database_url)
    manifest_ = save(database_url, folder / "b.db")
    assert stored_rows(database_url) == before
    assert {path.name for path in folder.iterdir()} == {"b.db", "b.db.json"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert json.loads((folder / "b.db.json").read_text()) == manifest_.to_dict()
    assert manifest_.engine == database_urls.parse(database_url).engine.name
    bytes_before = (folder / "b.db").read_bytes()
    assert bytes_before[18:20] == b"\1\1", "a backup file must not be in WAL mode"
    contents = restore(folder / "b.db", empty_url)
    assert (folder / "b.db").read_bytes() == bytes_before
    assert (contents.tables, contents.head) == (manifest_.tables, manifest_.head)
    assert stored_rows(empty_url) == before
    verdict = verify_database(empty_url)
    assert (verdict.faults, str(verdict.head)) == ([], manifest_.head)
    assert await api_responses(empty_url) == responses
    migrations.check(database_urls.parse(empty_url))


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def alter(**members):
    def alter_manifest(file):
        path = manifest.path_of(file)
        path.write_text(json.dumps(json.loads(path.read_text()) | members))

    return alter_manifest


def write_manifest(text):
    return lambda file: manifest.path_of(file).write_text(text)


DAMAGES = {
    "a byte flipped": (flip, "truncated or changed"),
    "cut": (lambda file: os.truncate(file, file.stat().st_size - 4096), "truncated or changed"),
    "empty": (lambda file: os.truncate(file, 0), "truncated or changed"),
    "gone": (lambda file: file.unlink(), "no backup at"),
    "without manifest": (lambda file: manifest.path_of(file).unlink(), "needs its manifest beside it"),
    "no JSON": (write_manifest("{"), "is not a backup manifest"),
    "no object": (write_manifest("[]"), "is not a backup manifest"),
    "of something else": (write_manifest('{"a": 1}'), "is not a backup manifest"),
    "another product": (alter(product="x"), "another product"),
    "another checksum": (alter(sha256="0" * 64), "truncated or changed"),
    "another size": (alter(size=1), "truncated or changed"),
    "another head": (alter(head=f"7:{'0' * 64}"), "does not match its manifest"),
    "no head": (alter(head="x"), "hexadecimal"),
    "an earlier head": (alter(head=f"1:{'0' * 64}"), "does not match its manifest"),
    "other counts": (alter(tables={"logs": 1}), "does not match its manifest"),
    "other faults": (alter(faults=["x"]), "does not match its manifest"),
    "another schema": (alter(schema="0001"), "does not match its manifest"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backup_is_refused(saved, empty_url, damage):
    harm, sentence = DAMAGES[damage]
    harm(saved)
    with pytest.raises(UsageError, match=sentence):
        restore(saved, empty_url)
    assert is_empty(empty_url)


def rewrite(file, *statements):
    """Change a backup and update its manifest, like an attacker who tampers with both."""
    with sqlite3.connect(file) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    alter(sha256=manifest.digest(file), size=file.stat().st_size)(file)


TAMPERED = {
    "the history": ("DROP TRIGGER history_update", "UPDATE history SET note = 'x' WHERE seq = 3"),
    "its end": ("DROP TRIGGER history_delete", "DELETE FROM history WHERE seq = 7"),
    "a record": ("DELETE FROM log_types_folded WHERE id = 3",),
    "a reference": ("PRAGMA foreign_keys=OFF", "UPDATE log_types_folded SET id = 99 WHERE id = 3"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_tampered_backup_is_refused_even_if_its_checksum_matches(saved, empty_url, how):
    rewrite(saved, *TAMPERED[how])
    with pytest.raises(UsageError, match=r"does not match its manifest|damaged"):
        restore(saved, empty_url)
    assert is_empty(empty_url)


FORGED = {
    "a label": (["UPDATE log_types SET label = 'swapped' WHERE id = 3"], ['"reload"', "`label`", '"swapped"']),
    "a time": (["UPDATE log_types SET created_at = '2020-01-01' WHERE id = 3"], ['"reload"', "`created_at`"]),
    "a row less": (
        [f"DELETE FROM {table} WHERE id = 3" for table in ("log_types_folded", "log_types")],
        ['"reload"', "row is missing"],
    ),
    "an admin more": (
        [
            (
                "INSERT INTO users (trigram, trigram_key, role, active, version, created_at, updated_at) "
                "SELECT 'EVE', 'eve', 4, true, 1, created_at, updated_at FROM log_types WHERE id = 1"
            )
        ],
        ['"EVE"', "no history"],
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_backup_with_forged_records_is_refused_by_their_names(saved, empty_url, what):
    statements, words = FORGED[what]
    rewrite(saved, *statements)
    alter(tables=row_counts(saved))(saved)
    with pytest.raises(UsageError, match="does not match its manifest") as refused:
        restore(saved, empty_url)
    assert all(word in refused.value.detail for word in [*words, "--accept-differences"])
    assert is_empty(empty_url)


def test_a_backup_with_forged_records_is_restored_on_demand_and_the_faults_are_reported(saved, empty_url):
    rewrite(saved, "UPDATE log_types SET label = 'swapped' WHERE id = 3")
    restored = backup.restore(
        saved, database_urls.parse(empty_url), lambda _done, _total: None, accept_differences=True
    )
    assert len(restored.faults) == 1
    assert restored.faults == verify_database(empty_url).faults[:1]


def test_triggers_and_views_of_a_backup_are_not_restored(saved, empty_url):
    rewrite(
        saved,
        "CREATE TRIGGER up AFTER INSERT ON sessions BEGIN UPDATE users SET role = 4; END",
        "CREATE VIEW reports AS SELECT * FROM logs",
    )
    restored = restore(saved, empty_url)
    assert restored.faults == []
    assert restored.not_restored == [
        "The trigger up on sessions does not belong to this version.",
        "The view reports does not belong to this version.",
    ]
    assert verify_database(empty_url).faults == []


def row_counts(file):
    with sqlite3.connect(file) as connection:
        return {table.name: connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0] for table in TABLES}


def test_restore_refuses_a_database_that_is_not_empty(saved, empty_url):
    migrations.upgrade(database_urls.parse(empty_url))
    before = stored_rows(empty_url)
    with pytest.raises(UsageError, match="not empty"):
        restore(saved, empty_url)
    assert stored_rows(empty_url) == before


def test_restore_refuses_a_database_of_another_program(saved, empty_url):
    with migrations.transaction(database_urls.parse(empty_url)) as connection:
        connection.exec_driver_sql("CREATE TABLE customers (id integer)")
    with pytest.raises(UsageError, match="customers"):
        restore(saved, empty_url)


def test_restore_refuses_a_file_that_appeared_meanwhile(saved, tmp_path, monkeypatch):
    target = tmp_path / "taken.db"
    finalize = files.finalize

    def finalize_then_create_target(path, *, journal):
        finalize(path, journal=journal)
        prepare(f"sqlite:///{target}")

    monkeypatch.setattr(files, "finalize", finalize_then_create_target)
    with pytest.raises(UsageError, match="not empty"):
        restore(saved, f"sqlite:///{target}")
    assert verify_database(f"sqlite:///{target}").faults == []


def test_a_file_without_tables_may_be_replaced(saved, tmp_path):
    target = tmp_path / "empty.db"
    with sqlite3.connect(target) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    restore(saved, f"sqlite:///{target}")
    assert verify_database(f"sqlite:///{target}").faults == []


def test_a_backup_of_an_older_schema_is_migrated(saved, empty_url):
    older = database_urls.for_file(saved)
    migrations.downgrade(older, "-1")
    files.finalize(saved, journal="delete")
    alter(sha256=manifest.digest(saved), size=saved.stat().st_size, schema=migrations.current_revision(older))(saved)
    contents = restore(saved, empty_url)
    assert contents.tables["log_types"] == 7
    migrations.check(database_urls.parse(empty_url))


def test_a_backup_of_a_newer_schema_is_refused(saved, empty_url):
    rewrite(saved, "UPDATE alembic_version SET version_num = 'ffff'")
    alter(schema="ffff")(saved)
    with pytest.raises(SchemaMismatch, match="its wheel, checkout or image"):
        restore(saved, empty_url)
    assert is_empty(empty_url)


def test_a_tampered_history_is_backed_up_restored_and_reported(database_url, empty_url, folder):
    database = Database(database_url)
    for statement in (UNLOCK[database.engine.name], "UPDATE history SET note = 'x' WHERE seq = 3"):
        database.transact(lambda tx, statement=statement: tx.cursor.execute(statement))
    database.close_writer()
    manifest_ = save(database_url, folder / "b.db")
    assert len(manifest_.faults) == 1
    assert restore(folder / "b.db", empty_url).faults == manifest_.faults
    assert verify_database(empty_url).faults == manifest_.faults
