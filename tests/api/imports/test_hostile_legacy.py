"""Hostile uploads in the form of the legacy tool's files: each is refused with a sentence, and leaves nothing."""

import os
import stat
import zipfile

import pytest

from api.imports.conftest import upload
from services.legacy.uploaded_files import as_database, as_zip, files

LINK = zipfile.ZipInfo("logs/link.json")
LINK.external_attr = (stat.S_IFLNK | 0o777) << 16


def _encrypted():
    content = bytearray(as_zip(files()))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + place] |= 1
            at = content.find(mark, at + 1)
    return bytes(content)


def _bomb():
    """Return an archive of 400 MB of zeros in 400 kB: its first file says so, as the others do."""
    return as_zip({f"logs/{number}.json": bytes(40_000_000) for number in range(10)})


def _bad_name():
    """Return an archive with a name that claims to be UTF-8, and is none."""
    return as_zip(files()).replace("Tour é".encode(), b"Tour \xff\xff")


def _torn_checksum():
    content = bytearray(as_zip(files(), compression=zipfile.ZIP_STORED))
    at = content.find(b"Noise 1")
    content[at] ^= 1
    return bytes(content)


def _two():
    return as_zip({f"{name}/{file}": content for name in ("a", "b") for file, content in files().items()})


ARCHIVES = {
    "parent": (lambda: as_zip({**files(), "../evil.json": b"{}"}), "the path '../evil.json'"),
    "parent inside": (lambda: as_zip({**files(), "logs/../../evil.json": b"{}"}), "the path"),
    "absolute": (lambda: as_zip({**files(), "/etc/evil.json": b"{}"}), "the path '/etc/evil.json'"),
    "absolute root": (lambda: as_zip(files(), "/"), "the path"),
    "drive": (lambda: as_zip({**files(), "C:\\evil.json": b"{}"}), "the path 'C:/evil.json'"),
    "link": (lambda: as_zip({**files(), LINK: b"/etc/passwd"}), "is a link"),
    "encrypted": (_encrypted, "password"),
    "bomb": (_bomb, "more than 300 MB"),
    "cut": (lambda: as_zip(files())[:-30], "damaged"),
    "only a begin": (lambda: as_zip(files())[:100], "damaged"),
    "checksum": (_torn_checksum, "damaged"),
    "name": (_bad_name, "damaged"),
    "method": (lambda: as_zip(files(), compression=zipfile.ZIP_BZIP2), "usual .zip"),
    "two folders": (_two, "several legacy folders"),
    "other": (lambda: as_zip({"a.txt": b"a"}), "neither a workbook"),
}
EMPTY = "CREATE TABLE other (a)"
DATABASES = {
    "view": (["ALTER TABLE logs RENAME TO l", "CREATE VIEW logs AS SELECT * FROM l"], "logs is not an ordinary table"),
    "trigger": (
        ["CREATE TRIGGER t AFTER INSERT ON logs BEGIN SELECT load_extension('evil'); END"],
        "its table logs has a trigger",
    ),
    "virtual": (["DROP TABLE logs", "CREATE VIRTUAL TABLE logs USING fts5(uuid)"], "logs is not an ordinary table"),
    "generated": (
        ["ALTER TABLE logs ADD COLUMN bomb AS (hex(zeroblob(100000000)))"],
        "its table logs has a generated column",
    ),
    "no key": (["ALTER TABLE logs RENAME COLUMN uuid TO id"], "its table logs has no column uuid"),
    "no table": (["DROP TABLE logs", "DROP TABLE machines", "DROP TABLE employs", EMPTY], "none of the tables"),
}


async def refuse(client, content, message, name):
    answer = await upload(client, content, name=name)
    assert answer.status_code == 422, (name, answer.text)
    error = answer.json()["errors"][0]
    assert error["pointer"] == "/file"
    assert message in error["message"], (name, error["message"])


@pytest.mark.slow
async def test_a_hostile_archive_is_refused_with_a_sentence(client, folder):
    for name, (make, message) in ARCHIVES.items():
        await refuse(client, make(), message, f"{name}.zip")
    assert (await client.get("/imports")).json()["items"] == []
    assert [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.slow
async def test_a_hostile_database_is_refused_with_a_sentence(client, folder, tmp_path):
    for name, (statements, message) in DATABASES.items():
        await refuse(client, as_database(tmp_path / f"{name}.db", statements=statements), message, f"{name}.db")
    content = as_database(tmp_path / "whole.db", logs=200)
    await refuse(client, content[:20_000], "cannot be read as an SQLite database", "cut.db")
    await refuse(client, content[:16] + os.urandom(8_000), "cannot be read as an SQLite database", "random.db")
    broken = content[:4096] + bytes(len(content) - 4096)
    await refuse(client, broken, "cannot be read as an SQLite database", "zeros.db")
    assert (await client.get("/imports")).json()["items"] == []
    assert [path for path in folder.rglob("*") if path.is_file()] == []
