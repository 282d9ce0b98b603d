"""On a read-only database the service and commands read, and refuse to write with the reason."""

import asyncio
import subprocess
from pathlib import Path

import psycopg
import pytest

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.engines.sqlite import path_faults
from machine_monitor.errors import DatabaseBusy
from ordinary_user import as_nobody, let_everybody_enter, needs_root
from services.backup.full_database import api_responses, fill
from services.legacy.uploaded_files import as_folder

READING = (
    ["user", "list"],
    ["token", "list"],
    ["verify"],
    ["export", "logs.csv", "--query", "q=huile"],
    ["export", "old", "--legacy"],
    ["backup", "saved.db"],
    ["doctor"],
    ["report", "week"],
    ["mapping", "list"],
    ["import", "new.ndjson", "--dry-run"],
    ["sync", "legacy", "--dry-run"],
)
WRITING = (["user", "add", "LEA"], ["token", "revoke", "1"], ["import", "new.ndjson"])


@pytest.fixture
def read_only_file(sqlite_database_url, tmp_path):
    """The path of a database on a read-only mount; the same file can be written at the path of its URL."""
    folder, mounted = database_urls.parse(sqlite_database_url).path.parent, tmp_path / "read-only"
    mounted.mkdir()
    if subprocess.run(["/bin/mount", "--bind", folder, mounted], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a folder")
    try:
        subprocess.run(["/bin/mount", "-o", "remount,bind,ro", mounted], check=True)
        yield mounted / "test.db"
    finally:
        subprocess.run(["/bin/umount", "--lazy", mounted], check=True)


def require_reading_only(mm, url: str, reason: str) -> None:
    """Check that commands and the service read a database, and say why it cannot be written."""
    Path("new.ndjson").write_text('{"name": "new"}\n')
    as_folder(Path("legacy"), {"machines/Saw.json": b'{"sector": "1A"}'})
    for words in READING:
        code, _, err = mm(*words, database_url=url)
        assert (code, "Traceback" in err) == (0, False), (words, err)
    for words in WRITING:
        code, out, err = mm(*words, database_url=url)
        assert (code, err.count("\n"), reason in err, out) == (2, 1, True, ""), (words, err)
    assert Path("logs.csv").read_text().count("\n") > 1
    asyncio.run(require_refused_writes(url, reason))


async def require_refused_writes(url: str, reason: str) -> None:
    """Check that the service answers writes with the reason, and is ready for reads."""
    sign_in = {"trigram": "ADM", "password": "x" * 20}
    requests = ("POST", "/machines", {"name": "new"}), ("POST", "/session", sign_in), ("PATCH", "/machines/twin", {})
    async with serving(Settings(database_url=url)) as client:
        for method, path, body in requests:
            refused = await client.request(method, path, json=body)
            assert (refused.status_code, "Retry-After" in refused.headers) == (503, True), refused.text
            assert reason in refused.json()["detail"]
        assert (await client.get("/readyz")).json()["status"] == "ready"


def start_service(mm, uvicorn_calls) -> str:
    """Run `mm serve` up to where it would listen; return what it prints as warnings."""
    code, out, err = mm("serve", "--port", "0")
    assert (code, out, len(uvicorn_calls)) == (0, "", 1)
    return err


@needs_root
@pytest.mark.usefixtures("working_folder")
def test_a_database_on_a_read_only_medium_is_readable(mm, sqlite_database_url, read_only_file, uvicorn_calls):
    asyncio.run(fill(sqlite_database_url))
    expected, before = asyncio.run(api_responses(sqlite_database_url)), sorted(read_only_file.parent.iterdir())
    url, reason = f"sqlite:///{read_only_file}", f"the file {read_only_file} is on a read-only medium"
    sentence = f"The database is read-only: {reason}. Reading still works."
    assert asyncio.run(api_responses(url)) == expected
    require_reading_only(mm, url, sentence)
    assert asyncio.run(warnings(url)) == [sentence]
    assert f"writable                 no: {reason}" in mm("doctor")[1]
    code, _, err = mm("migrate")
    assert (code, err) == (2, f"The database {url} cannot be used: {reason}.\n")
    assert start_service(mm, uvicorn_calls).startswith(f"{sentence} Writes are answered with 503.")
    assert sorted(read_only_file.parent.iterdir()) == before


async def warnings(url: str) -> list[str]:
    async with serving(Settings(database_url=url)) as client:
        return (await client.get("/readyz")).json()["warnings"]


@needs_root
async def test_writes_of_another_process_are_seen_through_a_read_only_mount(sqlite_database_url, read_only_file):
    url = f"sqlite:///{read_only_file}"
    async with serving(Settings(database_url=url)) as reader:
        assert (await reader.get("/machines")).json()["items"] == []
        async with serving(Settings(database_url=sqlite_database_url)) as writer:
            for name in ("a", "b"):
                assert (await writer.post("/machines", json={"name": name})).status_code == 201
                assert (await reader.get(f"/machines/{name}")).status_code == 200
                assert name in (await reader.get("/machines.csv")).text
        assert [each["name"] for each in (await reader.get("/machines")).json()["items"]] == ["a", "b"]


@needs_root
def test_a_read_during_which_another_process_begins_to_write_has_no_result(sqlite_database_url, read_only_file):
    reader, writer = Database(f"sqlite:///{read_only_file}"), Database(sqlite_database_url)

    def write() -> None:
        writer.transact(lambda tx: tx.cursor.execute("UPDATE log_types SET label = 'x' WHERE id = 2"))

    with pytest.raises(DatabaseBusy, match="Another process changed the database"):
        reader.snapshot(lambda _: write())
    label = "SELECT label FROM log_types WHERE id = 2"
    assert reader.snapshot(lambda tx: tx.cursor.execute(label).fetchone()) == ("x",)
    writer.close_writer()
    assert reader.snapshot(lambda tx: tx.cursor.execute(label).fetchone()) == ("x",)


@needs_root
@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_read_only_file_with_changes_to_be_applied_is_refused(mm, read_only_file, sqlite_database_url, suffix):
    beside = database_urls.parse(sqlite_database_url).path.with_name(f"test.db{suffix}")
    beside.write_bytes(b"the changes of a process that was killed")
    for words in (["user", "list"], ["verify"], ["serve", "--port", "0"]):
        code, out, err = mm(*words, database_url=f"sqlite:///{read_only_file}")
        assert (code, out) == (2, "")
        assert f"cannot be used: {read_only_file}{suffix} has changes that" in err
        assert "Copy both" in err
    beside.unlink()


@needs_root
@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "reason"),
    [
        (0o777, 0o444, "this user may not write to the file {}/x.db"),
        (0o755, 0o666, "this user may not write to the folder {}"),
        (0o777, 0o666, None),
    ],
)
def test_a_missing_right_to_write_makes_a_database_read_only(tmp_path, folder_mode, file_mode, reason):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x.db").touch()
    (folder / "x.db").chmod(file_mode)
    folder.chmod(folder_mode)
    let_everybody_enter(tmp_path)
    expected = reason and reason.format(folder)
    assert as_nobody(path_faults.why_read_only, folder / "x.db") == expected


@pytest.mark.slow
@pytest.mark.usefixtures("working_folder")
def test_a_read_only_postgresql_server_is_readable(mm, postgresql_database_url, uvicorn_calls):
    url = postgresql_database_url
    asyncio.run(fill(url))
    expected = asyncio.run(api_responses(url))
    with psycopg.connect(database_urls.parse(url).conninfo, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET default_transaction_read_only = on")
    assert asyncio.run(api_responses(url)) == expected
    sentence = "The database server is read-only at the moment. Reading still works."
    require_reading_only(mm, url, sentence)
    assert f"{sentence} Writes are answered with 503." in start_service(mm, uvicorn_calls)
