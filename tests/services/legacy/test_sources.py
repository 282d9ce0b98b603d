"""What a source of the legacy tool is, and which records its archive and its SQLite file have."""

import sqlite3
import struct
from contextlib import closing

import pytest

from machine_monitor.errors import UsageError
from machine_monitor.services import legacy
from machine_monitor.services.legacy import archive, sources, sqlite_file
from services.legacy.uploaded_files import as_database, as_folder, as_zip, files


def assert_same_records(folder, zip_file):
    content = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    zip_file.write_bytes(as_zip(content))
    for drafts in (False, True):
        expected = [*sources.records(folder, drafts=drafts)]
        assert len(expected) > 5
        assert [*sources.records(zip_file, drafts=drafts)] == expected


def test_an_archive_has_the_records_of_its_folder(tmp_path):
    assert_same_records(as_folder(tmp_path / "folder", files(**{"logs/deeper/x.json": {}})), tmp_path / "old.zip")


@pytest.mark.parametrize("sample", ["legacy-tricky", "excavators-legacy"])
def test_an_archive_has_the_records_of_the_sample(tmp_path, shared, sample):
    assert_same_records(shared / "data" / sample, tmp_path / "old.zip")


def test_a_workbook_is_no_legacy_file(tmp_path):
    for parts in ({"xl/workbook.xml": b"", "[Content_Types].xml": b""}, {"mimetype": b"", "content.xml": b""}):
        (tmp_path / "book").write_bytes(as_zip({**files(), **parts}))
        assert legacy.recognize(tmp_path / "book") is None


def without_utf_8_flag(content):
    content = bytearray(content)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            (bits,) = struct.unpack_from("<H", content, at + place)
            struct.pack_into("<H", content, at + place, bits & ~0x800)
            at = content.find(mark, at + 1)
    return bytes(content)


@pytest.mark.parametrize("program", ["macOS", "old Windows", "PowerShell"])
def test_names_of_other_programs_are_understood(tmp_path, program):
    """macOS writes UTF-8 without saying so, Windows cp850, and its PowerShell backslashes."""
    content = as_zip(files())
    if program == "macOS":
        content = without_utf_8_flag(as_zip({**files(), "__MACOSX/machines/._Tour.json": b"x"}))
    elif program == "old Windows":
        # Two letters in place of the two bytes of `é`: the length of a name must stay.
        content = without_utf_8_flag(as_zip({name.replace("é", "ab"): data for name, data in files().items()}))
        content = content.replace(b"Tour ab.json", b"Tour \x82b.json")
    else:
        content = as_zip({name.replace("/", "\\"): data for name, data in files().items()})
    (tmp_path / "old.zip").write_bytes(content)
    expected = "machines/Tour éb.json" if program == "old Windows" else "machines/Tour é.json"
    assert expected in [raw.file for raw in sources.records(tmp_path / "old.zip") if raw]


def test_drafts_of_an_archive_are_read_when_asked_for(tmp_path):
    (tmp_path / "old.zip").write_bytes(as_zip(files()))
    assert not any(raw and raw.draft for raw in sources.records(tmp_path / "old.zip"))
    drafts = [raw for raw in sources.records(tmp_path / "old.zip", drafts=True) if raw and raw.draft]
    assert [raw.members["userName"] for raw in drafts] == ["abc"]


def test_too_many_records_or_files_are_refused(tmp_path, monkeypatch):
    (tmp_path / "old.zip").write_bytes(as_zip(files()))
    as_database(tmp_path / "old.db", logs=20)
    for name in ("old.zip", "old.db"):
        with pytest.raises(UsageError, match="more than 5 records"):
            [*sources.records(tmp_path / name, max_records=5)]
    monkeypatch.setattr(archive, "MAX_FILES", 5)
    with pytest.raises(UsageError, match="more than 5 files"):
        [*sources.records(tmp_path / "old.zip")]


def test_a_statement_without_an_end_is_stopped(tmp_path, monkeypatch):
    as_database(tmp_path / "old.db", logs=500)
    monkeypatch.setattr(sqlite_file, "INSTRUCTIONS", 10)
    monkeypatch.setattr(sqlite_file, "MAX_CALLS", 50)
    with pytest.raises(UsageError, match="interrupted"):
        [*sources.records(tmp_path / "old.db")]


def test_the_source_is_opened_for_reading_only(tmp_path):
    content = as_database(tmp_path / "old.db")
    [*sources.records(tmp_path / "old.db")]
    assert (tmp_path / "old.db").read_bytes() == content


def test_a_source_in_wal_mode_is_read(tmp_path):
    as_database(tmp_path / "old.db")
    expected = [*sources.records(tmp_path / "old.db")]
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert [*sources.records(tmp_path / "old.db")] == expected
