import json
import signal
import subprocess
import sys

import pytest

from conftest import prepare
from machine_monitor.database.connect import Database
from machine_monitor.database.schema import migrations
from servers import environment

UNREACHABLE = "postgresql://someone:secret-word@127.0.0.1:1/none"


def test_a_backup_can_be_restored_and_contains_the_printed_head(mm, working_folder, database_url, empty_url):
    code, out, err = mm("backup", "b.db", database_url=database_url)
    assert (code, err) == (0, "")
    head = out.splitlines()[-1]
    assert head.startswith("head 7:")
    assert mm("backup", "b.db")[0] == 2
    manifest = json.loads((working_folder / "b.db.json").read_text())
    code, out, _ = mm("backup", "b.db", "--force", "--json")
    # `derived` has one more row: the time of the first backup.
    assert (code, json.loads(out)["tables"]) == (0, manifest["tables"] | {"derived": 3})
    code, out, err = mm("restore", "b.db", database_url=empty_url)
    assert (code, err, out.splitlines()[-1]) == (0, "", head)
    assert mm("restore", "b.db")[0] == 2
    assert mm("verify", "--head", head.removeprefix("head "))[0] == 0
    assert {path.name for path in working_folder.iterdir() if path.name.startswith((".", "b.db"))} == {
        "b.db",
        "b.db.json",
    }


def test_copy_prints_the_number_of_rows(mm, working_folder, database_url):
    code, out, err = mm("copy", database_url, "sqlite:///copy.db", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["tables"]["log_types"] == 7
    code, out, _ = mm("copy", "sqlite:///copy.db", "sqlite:///again.db")
    assert (code, "log_types                7\n" in out) == (0, True)
    code, _, err = mm("copy", "sqlite:///copy.db", "sqlite:///again.db")
    assert (code, "not empty" in err) == (2, True)
    assert (working_folder / "again.db").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["backup", "b.db"], "no database"),
        (["restore", "b.db"], "manifest"),
        (["copy", "sqlite:///a.db", "sqlite:///b.db"], "no database"),
        (["copy", "mysql://host/a", "sqlite:///b.db"], "SRC_URL begins with 'mysql'"),
        (["copy", "sqlite:///a.db", "sqlite://"], "DST_URL must name a file"),
        (["copy", "there.db", "b.db"], "SRC_URL is not a database URL"),
        (["copy", UNREACHABLE, "sqlite:///b.db"], "cannot be used"),
        (["copy", "sqlite:///there.db", UNREACHABLE], "cannot be used"),
        (["copy", "sqlite:///there.db", "sqlite:///none/b.db"], "No such file"),
        (["copy", "sqlite:///notes.txt", "sqlite:///b.db"], "cannot be used"),
    ],
)
def test_a_failed_command_gives_a_clear_error_and_leaves_no_file(mm, working_folder, words, message):
    prepare(f"sqlite:///{working_folder / 'there.db'}")
    (working_folder / "notes.txt").write_text("no database, " * 500)
    before = {path.name for path in working_folder.iterdir()}
    code, out, err = mm(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert "secret-word" not in err
    assert {path.name for path in working_folder.iterdir()} == before


def test_a_tampered_history_gives_exit_code_1(mm, working_folder, sqlite_database_url):
    database = Database(sqlite_database_url)
    for statement in ("DROP TRIGGER history_update", "UPDATE history SET note = 'x' WHERE seq = 3"):
        database.transact(lambda tx, statement=statement: tx.cursor.execute(statement))
    database.close_writer()
    code, out, err = mm("backup", "b.db", database_url=sqlite_database_url)
    assert (code, "The hash chain is broken" in err) == (1, True)
    assert (working_folder / "b.db").exists()
    assert mm("restore", "b.db", database_url=f"sqlite:///{working_folder / 'back.db'}")[1:] == (out, err)


def test_an_older_database_must_be_migrated_before_a_backup(mm, working_folder, database_url):
    parsed_url = Database(database_url).url
    with migrations.transaction(parsed_url) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0005'")
    code, _, err = mm("backup", "b.db", database_url=database_url)
    assert (code, "mm migrate" in err) == (2, True)
    assert not (working_folder / "b.db").exists()


# A shell that runs the suite in the background makes its children ignore SIGINT.
WAITING_BACKUP = """
import signal, sys, time
from machine_monitor.services.backup import manifest
from machine_monitor.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
manifest.write = lambda *_: print("here", flush=True) or time.sleep(60)
sys.argv = ["mm", "backup", "b.db"]
main.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_backup_cleans_up(working_folder, sqlite_database_url, signal_):
    command = [sys.executable, "-c", WAITING_BACKUP]
    settings = environment(database_url=sqlite_database_url)
    with subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout.readline() == b"here\n"
        running.send_signal(signal_)
        assert running.wait(timeout=60) != 0
    assert not [path for path in working_folder.iterdir() if "b.db" in path.name]
