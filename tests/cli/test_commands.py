"""Commands for everyday operation: serve, migrate, doctor, openapi, sync and export, with their exit codes."""

import json
import socket
import subprocess
import sys

import pytest
from sqlalchemy import Column, MetaData, Text

from machine_monitor import config
from machine_monitor.cli import main
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.schema import migrations
from machine_monitor.models import METADATA
from machine_monitor.services.checks import health


def test_help_imports_neither_the_database_nor_the_api():
    probe = "import sys; from machine_monitor.cli import main; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    assert not {"sqlalchemy", "fastapi", "pydantic", "psycopg"} & set(modules)


def test_help_names_every_command(mm):
    code, out, _ = mm("--help")
    assert code == 0
    commands = ("serve", "migrate", "sync", "export", "import", "demo", "user", "token", "doctor", "openapi")
    assert all(name in out for name in commands)


def test_version_is_that_of_the_package(mm):
    assert mm("--version")[1].startswith("machine-monitor 0.")


@pytest.mark.parametrize(
    ("words", "settings", "expected"),
    [
        ([], {}, ("127.0.0.1", 8000, 1)),
        (["--port", "0", "--workers", "3"], {"host": "::1"}, ("::1", 0, 3)),
        (["--open"], {"host": "0.0.0.0", "port": "9"}, ("0.0.0.0", 9, 1)),  # noqa: S104 -- the test does not listen on it
        (["--host", "workshop.local"], {}, ("workshop.local", 8000, 1)),
        (["--host", "localhost"], {}, ("localhost", 8000, 1)),
    ],
)
def test_serve_listens_on_the_given_address(mm, working_folder, uvicorn_calls, words, settings, expected):
    code, _, err = mm("serve", *words, **settings)
    assert (code, "may read and write" in err) == (0, "--open" in words)
    assert [(call["host"], call["port"], call["workers"]) for call in uvicorn_calls] == [expected]
    # Workers are separate processes and read the setting from the environment.
    assert config.load().open == ("--open" in words)
    assert (working_folder / "machine-monitor.db").exists()


def test_migrate_may_run_twice(mm, empty_url):
    newest = migrations.head_revision()
    assert mm("migrate", database_url=empty_url)[1].endswith(f"from nothing to {newest}\n")
    assert mm("migrate", database_url=empty_url)[1].endswith(f"already at {newest}\n")


@pytest.mark.usefixtures("uvicorn_calls")
@pytest.mark.parametrize("command", [["migrate"], ["serve"]])
def test_counters_are_rebuilt_after_a_change_of_time_zone(mm, empty_url, command):
    assert mm("migrate", database_url=empty_url)[2] == ""
    code, out, _ = mm("doctor", database_url=empty_url, timezone="Europe/Paris")
    assert code == 1
    assert "counted by the calendar of UTC" in out
    for words in (command, ["user", "list"], command, ["doctor"]):
        assert mm(*words)[0] == 0


@pytest.mark.usefixtures("working_folder")
def test_verify_creates_no_database(mm, tmp_path):
    code, out, err = mm("verify")
    assert (code, out) == (2, "")
    assert "There is no database at" in err
    assert [*tmp_path.iterdir()] == []


def test_verify_refuses_an_empty_database(mm, empty_url):
    code, out, err = mm("verify", database_url=empty_url)
    assert (code, out) == (2, "")
    assert "There is no database at" in err


@pytest.mark.parametrize("command", ["sync", "import"])
def test_a_dry_run_creates_no_database(mm, empty_url, working_folder, command):
    source = working_folder / ("old" if command == "sync" else "machines.ndjson")
    if command == "sync":
        (source / "machines").mkdir(parents=True)
        (source / "machines/Press.json").write_text('{"machineName": "Press"}')
    else:
        source.write_text('{"name": "Press"}\n')
    code, out, err = mm(command, source, "--dry-run", "--json", database_url=empty_url)
    assert (code, err) == (0, "")
    assert json.loads(out)["machines"]["created"] == 1
    assert migrations.current_revision(database_urls.parse(empty_url)) is None
    assert [path.name for path in working_folder.iterdir()] == [source.name]
    assert mm(command, source, "--json")[1] == out


def test_verify_names_what_was_forged_and_doctor_what_is_foreign(mm, database_url):
    database = Database(database_url)
    for statement in ("UPDATE log_types SET label = 'x' WHERE id = 2", "CREATE VIEW reports AS SELECT * FROM logs"):
        database.transact(lambda tx, said=statement: tx.cursor.execute(said))
    database.close_writer()
    code, out, _ = mm("verify", database_url=database_url)
    view, label, index, folded, not_covered, head = out.splitlines()
    assert code == 1
    assert view == "The view reports does not belong to this version."
    assert label == 'The log type "error" (record 2): the history says `label` is "error", the row says "x".'
    assert index.startswith("The search index of log_types differs from 1 records (2).")
    assert folded.startswith("The table of folded texts of log_types differs from 1 records (2).")
    assert "rebuild-search" not in out
    assert "passwords, tokens, sessions" in not_covered
    assert head.startswith("head 7:")
    code, out, _ = mm("doctor")
    assert code == 1
    assert view in out


@pytest.mark.usefixtures("uvicorn_calls")
@pytest.mark.parametrize("revision", ["9999", "0000"])
def test_every_command_refuses_a_database_of_another_version(mm, database_url, revision):
    # No name of a package: on an index that the project does not publish to, anybody may register that name.
    advice = "ahead of this version: a newer version of the program made it. Install that version from where you got it"
    parsed_url = database_urls.parse(database_url)
    with migrations.transaction(parsed_url) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")
    for words in (["user", "list"], ["serve"], ["migrate"]):
        code, _, err = mm(*words, database_url=database_url)
        assert code == 2
        assert advice in err
    code, out, _ = mm("doctor", database_url=database_url)
    assert code == 1
    assert advice in out


@pytest.fixture
def field_without_migration(monkeypatch):
    """Add a field to the models for which there is no migration."""
    models = MetaData()
    for table in METADATA.tables.values():
        table.to_metadata(models)
    models.tables["machines"].append_column(Column("spare_field", Text))
    monkeypatch.setattr(health, "METADATA", models)


@pytest.mark.usefixtures("working_folder", "uvicorn_calls", "field_without_migration")
@pytest.mark.parametrize("words", [["migrate"], ["serve"], ["user", "list"], ["verify"], ["backup", "x.db"]], ids=str)
def test_a_field_without_a_migration_gives_a_clear_error(mm, database_url, words):
    code, out, err = mm(*words, database_url=database_url)
    assert code == 2
    assert "(machines.spare_field). Run `make migration NAME=add_spare_field`" in err
    assert "Error" not in out + err
    code, out, _ = mm("doctor", database_url=database_url)
    assert code == 1
    assert "(machines.spare_field)" in out


@pytest.mark.usefixtures("field_without_migration")
def test_a_new_database_is_created_even_if_a_field_has_no_migration(mm, empty_url):
    code, out, err = mm("migrate", database_url=empty_url)
    assert code == 0
    assert f"from nothing to {migrations.head_revision()}" in out
    assert "(machines.spare_field)" in err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"timezone": "Europe/Pari"}, "Did you mean 'Europe/Paris'?"),
        ({"timezon": "UTC"}, "Did you mean 'MM_TIMEZONE'?"),
        ({"port": "many"}, "MM_PORT"),
        ({"anonymous": "write"}, "MM_ANONYMOUS"),
        ({"database_url": "mysql://host/name"}, "only sqlite and postgresql"),
        ({"database_url": "sqlite://"}, "must name a file"),
        ({"database_url": "sqlite:////no/such/folder/file.db"}, "cannot be used"),
        pytest.param(
            {"database_url": "postgresql://someone:secret-word@127.0.0.1:1/none"},
            "cannot be used",
            marks=pytest.mark.slow,  # the command waits for a server that may still be starting
        ),
    ],
)
@pytest.mark.usefixtures("working_folder")
def test_an_invalid_setting_gives_a_clear_error_without_traceback(mm, settings, message):
    code, out, err = mm("user", "list", **settings)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert "secret-word" not in out + err


@pytest.mark.usefixtures("working_folder")
def test_debug_shows_the_traceback(mm):
    assert "Traceback" in mm("--debug", "user", "list", port="many")[2]
    main.State.debug = False


@pytest.mark.usefixtures("working_folder")
def test_doctor_shows_settings_without_secrets(mm):
    code, out, _ = mm("doctor", "--json", timezone="Europe/Paris")
    report = json.loads(out)
    assert (code, report["settings"]["MM_TIMEZONE"]) == (0, "Europe/Paris")
    assert report["database"]["revision"] is None
    url = "postgresql://someone:secret-word@127.0.0.1:1/none"
    code, out, _ = mm("doctor", database_url=url)
    assert code == 1
    assert "secret-word" not in out


def test_openapi_prints_the_document(mm, working_folder):
    code, out, _ = mm("openapi")
    assert code == 0
    assert json.loads(out)["openapi"].startswith("3.")
    assert list(working_folder.iterdir()) == []


def write(folder, name, record):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))


def test_exit_codes_of_sync_and_export_tell_the_result(mm, working_folder, database_url):
    log = {"machineName": "Lathe", "type": "info", "timeStamp": "2025_07_25__15_18_25", "userName": "nr"}
    write(working_folder, "old/machines/Lathe.json", {"sector": "1A"})
    write(working_folder, "old/logs/00000000-0000-4000-8000-000000000001.json", log)
    code, out, err = mm("sync", "old", "--json", "--timezone", "Europe/Paris", database_url=database_url)
    assert (code, err) == (0, "")
    assert json.loads(out)["logs"] == {"created": 1, "updated": 0, "unchanged": 0, "conflict": 0, "rejected": 0}
    assert mm("sync", "old", "--dry-run", "--timezone", "Europe/Paris")[0] == 0
    write(working_folder, "old/logs/bad.json", {"machineName": "Lathe", "type": "info"})
    code, out, _ = mm("sync", "old", "--timezone", "Europe/Paris")
    assert code == 1
    assert "logs/bad.json" in out
    assert mm("export", "new")[0] == 2
    assert mm("export", "new", "--legacy", "--timezone", "Europe/Paris")[0] == 0
    exported = json.loads((working_folder / "new/logs/00000000-0000-4000-8000-000000000001.json").read_text())
    assert exported["timeStamp"] == "2025_07_25__15_18_25"
    assert mm("export", "new", "--legacy")[0] == 2
    assert json.loads(mm("user", "list", "--json")[1])[0]["trigram"] == "nr"
    assert "nr" in mm("user", "list")[1]


@pytest.mark.parametrize("source", ["missing", "empty", "file.txt"])
def test_sync_of_an_invalid_source_is_a_usage_error(mm, working_folder, source):
    (working_folder / "empty").mkdir()
    (working_folder / "file.txt").write_text("no database")
    code, _, err = mm("sync", source)
    assert code == 2
    assert err.count("\n") <= 3


def test_a_port_in_use_gives_a_clear_error(mm, working_folder, unused_tcp_port):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", unused_tcp_port))
        code, _, err = mm("serve", "--port", unused_tcp_port)
    assert code == 2
    assert f"cannot listen on 127.0.0.1:{unused_tcp_port}. Another program listens there" in err
    assert "--port" in err
    assert list(working_folder.iterdir()) == []


def test_an_export_uses_the_time_zone_of_the_last_sync(mm, working_folder, sqlite_database_url):
    (working_folder / "old/logs").mkdir(parents=True)
    name = "00000000-0000-4000-8000-000000000001.json"
    log = {"machineName": "Saw", "type": "info", "timeStamp": "2025_07_25__15_18_25"}
    (working_folder / "old/logs" / name).write_text(json.dumps(log))
    assert mm("sync", "old", "--timezone", "Europe/Paris", database_url=sqlite_database_url)[0] == 0
    assert mm("export", "copy", "--legacy")[0] == 0
    assert json.loads((working_folder / "copy/logs" / name).read_text())["timeStamp"] == log["timeStamp"]
    code, out, _ = mm("sync", "old", "--json")
    assert (code, json.loads(out)["logs"]["unchanged"]) == (0, 1)
