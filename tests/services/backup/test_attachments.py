"""Backups, restores and copies take the bytes of the attachments along, each file once."""

import pytest

from api.files.samples import digest, new_log, part
from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.errors import UsageError
from machine_monitor.services import backup
from machine_monitor.services.backup import Stores
from machine_monitor.services.files import upkeep
from machine_monitor.services.files.store import FolderStore
from machine_monitor.services.files.upkeep import CopiedFiles


def ignore_progress(*_):
    pass


def names(store: FolderStore) -> list[str]:
    return [file.digest for file in store.files()]


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "files")


@pytest.fixture
async def site(database_url, store):
    """A service on a database, and the path of a log."""
    async with serving(Settings(database_url=database_url, files=str(store.folder))) as client:
        log = await new_log(client)
        yield client, f"/logs/{log['uuid']}"


@pytest.fixture
def database(database_url):
    opened = Database(database_url)
    yield opened
    opened.close_writer()


async def test_a_backup_has_each_file_once_and_a_restore_brings_it(site, database, store, tmp_path, empty_url):
    client, path = site
    await client.post(f"{path}/attachments", files=[part(b"one"), part(b"two")])
    file, saved = tmp_path / "b.db", FolderStore(tmp_path / "b.db.files")
    manifest = backup.save(database, file, replace=False, progress=ignore_progress, store=store)
    assert (manifest.files, manifest.file_bytes, manifest.missing_files) == (2, 6, [])
    before = {each: saved.path_of(each).stat().st_mtime_ns for each in names(saved)}
    await client.post(f"{path}/attachments", files=[part(b"two"), part(b"three")])
    manifest = backup.save(database, file, replace=True, progress=ignore_progress, store=store)
    assert (manifest.files, manifest.file_bytes) == (3, 11)
    # A second backup has copied what is new, and nothing else.
    assert {each: saved.path_of(each).stat().st_mtime_ns for each in before} == before
    target = FolderStore(tmp_path / "restored")
    url = database_urls.parse(empty_url)
    if url.path is None:
        with pytest.raises(UsageError, match="--files"):
            backup.restore(file, url, ignore_progress)
    saved.path_of(digest(b"three")).write_bytes(b"thr33")
    with pytest.raises(UsageError, match="missing or damaged"):
        backup.restore(file, url, ignore_progress, store=target)
    saved.path_of(digest(b"three")).write_bytes(b"three")
    contents = backup.restore(file, url, ignore_progress, store=target)
    assert (contents.files.files, contents.files.missing) == (3, [])
    restored = Database(url)
    assert upkeep.take_inventory(restored, target).files == 3
    restored.close_writer()


async def test_a_copy_takes_the_files_along_and_names_what_is_missing(site, database, store, tmp_path, empty_url):
    client, path = site
    await client.post(f"{path}/attachments", files=[part(b"one"), part(b"two")])
    store.path_of(digest(b"two")).unlink()
    target = FolderStore(tmp_path / "copy")
    contents = backup.copy(database, database_urls.parse(empty_url), ignore_progress, Stores(store, target))
    assert (contents.files.files, contents.files.missing) == (1, [digest(b"two")])
    assert names(target) == [digest(b"one")]


def test_a_copy_into_the_folder_of_the_source_is_refused(store, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(store.folder, target_is_directory=True)
    for folder in (store.folder, tmp_path / "x/../files", link):
        with pytest.raises(UsageError, match="cannot share the folder"):
            Stores(store, FolderStore(folder)).copy([digest(b"one")], ignore_progress)
    # Without attachments no folder is needed, and the default is one folder for both.
    assert Stores(store, store).copy([], ignore_progress) == CopiedFiles()


def test_a_copy_without_stores_names_the_files_that_are_missing(store):
    digests = [digest(b"one"), digest(b"two")]
    for destination in (None, store):
        assert Stores(None, destination).copy(digests, ignore_progress) == CopiedFiles(missing=digests)
    with pytest.raises(UsageError, match="2 attachments: name a folder for them with --files"):
        Stores(store, None).copy(digests, ignore_progress)
