"""Backups, restores and copies take the bytes of the attachments along, each file once."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from api.files.samples import digest, names, part
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.errors import UsageError
from machine_monitor.services import backup
from machine_monitor.services.backup import Stores, manifest
from machine_monitor.services.files import upkeep
from machine_monitor.services.files.store import FolderStore
from machine_monitor.services.files.upkeep import CopiedFiles


def ignore_progress(*_):
    pass


async def test_a_backup_has_each_file_once_and_a_restore_brings_it(site, database, store, tmp_path, empty_url):
    client, path = site
    await client.post(f"{path}/attachments", files=[part(b"one"), part(b"two")])
    file, saved = tmp_path / "b.db", FolderStore(tmp_path / "b.db.files")
    made = backup.save(database, file, replace=False, progress=ignore_progress, store=store)
    assert (made.files, made.file_bytes, made.missing_files) == (2, 6, [])
    before = {each: saved.path_of(each).stat().st_mtime_ns for each in names(saved)}
    await client.post(f"{path}/attachments", files=[part(b"two"), part(b"three")])
    made = backup.save(database, file, replace=True, progress=ignore_progress, store=store)
    assert (made.files, made.file_bytes) == (3, 11)
    # A second backup has copied what is new, and nothing else.
    assert {each: saved.path_of(each).stat().st_mtime_ns for each in before} == before
    target = FolderStore(tmp_path / "restored")
    url = database_urls.parse(empty_url)
    if url.path is None:
        with pytest.raises(UsageError, match="`mm restore` from MM_FILES"):
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


async def test_dated_backups_share_the_files_that_both_have(site, database, store, tmp_path, empty_url):
    client, path = site
    await client.post(f"{path}/attachments", files=[part(b"one"), part(b"two")])
    files = [tmp_path / f"2026-01-0{day}.backup" for day in (1, 2, 3)]
    first, second, third = (manifest.files_of(file) for file in files)
    backup.save(database, files[0], replace=False, progress=ignore_progress, store=store)
    await client.post(f"{path}/attachments", files=[part(b"three")])
    # A damaged file is copied again, and not shared.
    first.path_of(digest(b"two")).write_bytes(b"twO")
    saved = backup.save(database, files[1], replace=False, progress=ignore_progress, store=store)
    assert (saved.files, saved.missing_files) == (3, [])
    assert second.path_of(digest(b"one")).samefile(first.path_of(digest(b"one")))
    assert second.path_of(digest(b"two")).read_bytes() == b"two"
    # The files of the service are not shared: what damages them does not damage a backup.
    assert all(not second.path_of(each).samefile(store.path_of(each)) for each in names(second))
    # Older than the second one, of which the third one is to share files.
    os.utime(manifest.path_of(files[0]), (0, 0))
    # A folder that belongs to no backup, such as the store of a service, is not shared.
    shutil.copytree(store.folder, tmp_path / "site.files")
    backup.save(database, files[2], replace=False, progress=ignore_progress, store=store)
    assert all(third.path_of(each).samefile(second.path_of(each)) for each in names(second))
    # Older backups are deleted one day; the newest has all of its files.
    for older in (first, second):
        shutil.rmtree(older.folder)
    restored = backup.restore(
        files[2], database_urls.parse(empty_url), ignore_progress, store=FolderStore(tmp_path / "r")
    )
    assert (restored.files.files, restored.files.missing) == (3, [])


async def test_a_file_is_copied_where_it_cannot_be_linked(site, database, store, tmp_path, monkeypatch):
    client, path = site
    await client.post(f"{path}/attachments", files=[part(b"one")])
    backup.save(database, tmp_path / "a.backup", replace=False, progress=ignore_progress, store=store)

    def refuse(*_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    saved = backup.save(database, tmp_path / "b.backup", replace=False, progress=ignore_progress, store=store)
    assert (saved.files, saved.missing_files) == (1, [])
    assert manifest.files_of(tmp_path / "b.backup").path_of(digest(b"one")).stat().st_nlink == 1


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
    with pytest.raises(UsageError, match=r"2 attachments, and no folder for them. .* from --files"):
        Stores(store, None).copy(digests, ignore_progress)
