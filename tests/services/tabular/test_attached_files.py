"""Attachments written beside an export: no file outside the folder, none overwritten, a second run adds what is new."""

import asyncio
import hashlib

import pytest

from api.files.samples import new_log, part
from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.models import LOGS
from machine_monitor.query.language.times import TimeContext
from machine_monitor.services import tabular
from machine_monitor.services.files.store import FolderStore
from machine_monitor.services.tabular.attached_files import WrittenFiles, path_part, write_files
from services.tabular.files import UTC

LONG = "é" * 150


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


def put(store, content):
    """Store some bytes, and return their digest."""
    digest = hashlib.sha256(content).hexdigest()
    path = store.path_of(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest


def written(store, folder, key, *files):
    """Write the files of one record, and return the number of new ones, and all that are in the folder."""
    rows = [{"name": name, "sha256": put(store, content)} for name, content in files]
    written_files = WrittenFiles()
    write_files({"name": key, "attachments": rows}, "name", store, folder, written_files)
    return written_files.files, {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_second_run_adds_what_is_new_and_overwrites_nothing(store, tmp_path):
    folder = tmp_path / "out"
    one, two, three = ("a.txt", b"1"), ("A.txt", b"2"), ("b.txt", b"3")
    expected = {"Saw/a.txt": b"1", "Saw/A (2).txt": b"2"}
    assert written(store, folder, "Saw", one, two) == (2, expected)
    assert written(store, folder, "Saw", one, two, three) == (1, expected | {"Saw/b.txt": b"3"})
    (folder / "Saw/a.txt").write_bytes(b"mine")
    assert written(store, folder, "Saw", one) == (
        1,
        {"Saw/a.txt": b"mine", "Saw/A (2).txt": b"2", "Saw/b.txt": b"3", "Saw/a (2).txt": b"1"},
    )


@pytest.mark.parametrize(
    ("key", "name", "path"),
    [
        ("..", "x.txt", "__/x.txt"),
        ("../../etc", "../x.txt", ".._.._etc/.._x.txt"),
        ("/abs", "c:\\x.txt", "_abs/c__x.txt"),
        ("a\0b", "x\n.txt", "a_b/x_.txt"),
    ],
)
def test_no_name_leads_out_of_the_folder(store, tmp_path, key, name, path):
    assert written(store, tmp_path / "deep/out", key, (name, b"x")) == (1, {path: b"x"})


def test_names_of_any_length_are_written_with_their_suffix(store, tmp_path):
    files = [(f"{LONG}.jpeg", b"1"), (f"{LONG}.jpeg", b"2"), (f"x.{LONG}", b"3")]
    count, contents = written(store, tmp_path / "out", LONG, *files)
    assert (count, sorted(contents.values())) == (3, [b"1", b"2", b"3"])
    names = [name.partition("/")[2] for name in contents]
    assert min(name[-9:] for name in names).endswith(" (2).jpeg")
    assert max(len(name.encode()) for name in names) <= 255
    assert (path_part("." * 300), path_part("")) == ("_" * 255, "_")


async def test_an_export_writes_the_files_of_its_records_again_and_again(database_url, store, tmp_path):
    async with serving(Settings(database_url=database_url, files=str(store.folder))) as client:
        log = await new_log(client)
        await client.post(
            f"/logs/{log['uuid']}/attachments", files=[part(b"one", f"{LONG}.txt"), part(b"two", "b.txt")]
        )
    request = tabular.ExportRequest(tmp_path / "logs.csv", LOGS)
    for number in (2, 0):
        database = Database(database_url)
        result = await tabular.save_files(database, request, TimeContext(UTC, instants.now()), store, tmp_path / "out")
        await asyncio.to_thread(database.close_writer)
        assert result == WrittenFiles(number)
    contents = {path.name[:5]: path.read_bytes() for path in (tmp_path / "out" / log["uuid"]).iterdir()}
    assert contents == {"ééééé": b"one", "b.txt": b"two"}
