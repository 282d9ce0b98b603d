"""The file store and its upkeep: each file is stored once and whole, and what `prune` and `verify` do."""

import asyncio
import errno
import io
import os
import stat
import threading
import time
from pathlib import Path

import pytest

from api.files.samples import digest, image, names, new_id, new_log, part
from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.errors import StorageFull
from machine_monitor.services.files import attachments, receiving, upkeep
from machine_monitor.services.files.store import STALE_PART, FolderStore, IncomingPart
from waiting import wait_until

OLD = time.time() - 10 * 86_400


def keep(store: FolderStore, content: bytes) -> str:
    """Store these bytes without an attachment; return their digest."""
    incoming = store.receive()
    incoming.write(content)
    digest_of_content = incoming.seal()
    incoming.keep()
    return digest_of_content


def test_the_same_bytes_are_one_file_that_only_the_service_can_read(store):
    first, second = store.receive(), store.receive()
    for incoming in (first, second):
        incoming.write(b"sa")
        incoming.write(b"me")
        assert incoming.seal() == digest(b"same")
    assert names(store) == []
    first.keep()
    os.utime(store.path_of(digest(b"same")), (OLD, OLD))
    second.keep()
    assert names(store) == [digest(b"same")]
    # It counts as new, so that no prune removes it before an attachment refers to it.
    assert store.find(digest(b"same")).added > time.time() - 60
    assert [*store.folder.glob("incoming/*")] == []
    for path in [store.folder, *store.folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    with store.open(digest(b"same")) as file:
        assert file.read() == b"same"


def test_only_a_digest_is_a_path(store):
    for wrong in ("../../etc/passwd", "a" * 63, "A" * 64, "", "a" * 64 + "\n"):
        with pytest.raises(ValueError, match="digest"):
            store.path_of(wrong)


def test_a_file_has_its_name_only_when_it_is_flushed(store, monkeypatch):
    """Bytes are on disk before their name, and the name before the row."""
    flushed, incoming = [], store.receive()

    def record_flush(descriptor):
        flushed.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")

    monkeypatch.setattr(os, "fsync", record_flush)
    incoming.write(b"x")
    incoming.seal()
    assert flushed == ["file"]
    incoming.keep()
    assert flushed == ["file", "folder", "folder", "folder"]
    incoming = store.receive()
    incoming.write(b"half")
    incoming.discard()
    assert names(store) == [digest(b"x")]


class ShortWrites(io.FileIO):
    """A file of which each write takes at most 1,000 bytes, as a write may on a disk that becomes full."""

    def write(self, data):
        return super().write(data[:1000])


def test_a_file_of_odd_pieces_is_whole_on_disk(store, monkeypatch):
    def fdopen(descriptor, mode, buffering=-1):
        raw = ShortWrites(descriptor, mode)
        return io.BufferedWriter(raw) if buffering else raw

    monkeypatch.setattr(os, "fdopen", fdopen)
    incoming, content = store.receive(), os.urandom(3_000_001)
    for start in range(0, len(content), 99_991):
        incoming.write(content[start : start + 99_991])
    assert incoming.seal() == digest(content)
    assert incoming.keep() is True
    assert digest(store.path_of(digest(content)).read_bytes()) == digest(content)
    again = store.receive()
    again.write(content)
    again.seal()
    assert again.keep() is False
    assert names(store) == [digest(content)]


async def test_a_cancelled_upload_ends_its_write_before_its_part_is_removed(database_url, store, monkeypatch):
    writing, may_write, written = threading.Event(), threading.Event(), []
    receive = FolderStore.receive

    class SlowFile:
        def __init__(self, file):
            self._file = file

        def __getattr__(self, name):
            return getattr(self._file, name)

        def write(self, data):
            writing.set()
            may_write.wait(10)
            written.append(self._file.closed)
            return self._file.write(data)

    def receive_slowly(folder_store):
        incoming = receive(folder_store)
        incoming._file = SlowFile(incoming._file)
        return incoming

    async def chunks():
        yield b"a" * receiving.PIECE_BYTES
        yield b"b"

    monkeypatch.setattr(FolderStore, "receive", receive_slowly)
    files = receiving.Files(Settings(database_url=database_url, files=str(store.folder)))
    uploading = asyncio.create_task(files.receive("", "a.bin", chunks()))
    await asyncio.to_thread(writing.wait, 10)
    uploading.cancel()
    await asyncio.gather(uploading, return_exceptions=True)
    # Time for a discard that does not wait.
    await asyncio.sleep(0.1)
    may_write.set()
    await wait_until(lambda: not [*store.folder.glob("incoming/*")])
    await files.close()
    assert (uploading.cancelled(), written, names(store)) == (True, [False], [])


async def test_a_refused_upload_leaves_bytes_that_were_there(site, store):
    """They belong to no record, for example after their attachment was removed; `mm files prune` may decide later."""
    client, path = site
    keep(store, b"was there")
    files = [part(b"was there"), part(b"new")]
    refused = await client.post("/logs", files=[("log", (None, '{"machine": "none", "type": "info"}')), *files])
    assert refused.status_code == 422
    assert names(store) == [digest(b"was there")]
    assert (await client.get(path)).json()["attachment_count"] == 0


async def test_prune_removes_old_files_without_an_attachment(site, database, store):
    client, path = site
    kept = (await client.post(f"{path}/attachments", files=[part(image())])).json()["attachments"][0]
    await client.get(f"/attachments/{kept['id']}/preview")
    removed = (await client.put(f"{path}/attachments/{new_id()}", content=b"removed")).json()["attachments"][1]
    await client.delete(f"{path}/attachments/{removed['id']}")
    await client.delete(path)
    orphan, young = keep(store, b"of a failed upload"), keep(store, b"of an upload in progress")
    for file in store.files():
        if file.digest != young:
            os.utime(store.path_of(file.digest), (OLD, OLD))
    stale, fresh = store.receive(), store.receive()
    long_ago = time.time() - STALE_PART.total_seconds() - 60
    os.utime(stale._path, (long_ago, long_ago))
    gone = sorted([orphan, digest(b"removed")])
    assert [file.digest for file in upkeep.prune(database, store, time.time() - 60, dry_run=True)] == gone
    assert [file.digest for file in upkeep.prune(database, store, time.time() - 60)] == gone
    # The file of a deleted log stays, for the log can be restored.
    assert names(store) == sorted([kept["sha256"], young])
    assert [incoming._path.exists() for incoming in (stale, fresh)] == [False, True]
    for incoming in (stale, fresh):
        incoming.discard()
    assert len([*store.folder.glob("previews/*/*/*.jpg")]) == 1
    assert [file.digest for file in upkeep.prune(database, store, time.time() + 60)] == [young]
    assert upkeep.take_inventory(database, store).faults == []


async def test_prune_removes_previews_whose_original_is_gone(site, database, store):
    client, path = site
    kept = (await client.post(f"{path}/attachments", files=[part(image())])).json()["attachments"][0]
    assert (await client.get(f"/attachments/{kept['id']}/preview")).status_code == 200
    (preview,) = store.folder.glob("previews/*/*/*.jpg")
    # Written by a decoder that had opened the original before it was removed.
    orphan = preview.parent / f"{digest(b'gone')}.jpg"
    orphan.write_bytes(preview.read_bytes())
    upkeep.prune(database, store, 0, dry_run=True)
    assert orphan.exists()
    upkeep.prune(database, store, 0)
    assert [*store.folder.glob("previews/*/*/*.jpg")] == [preview]


async def test_an_upload_whose_file_is_pruned_meanwhile_stores_no_attachment(site, database, store, monkeypatch):
    """An upload finds bytes in the store that a prune removes at that moment: the client sends them again."""
    client, path = site
    rows_of = attachments.rows_of

    def prune_first(tx, files, *rest):
        store.remove(files[0].digest)
        return rows_of(tx, files, *rest)

    monkeypatch.setattr(attachments, "rows_of", prune_first)
    response = await client.put(f"{path}/attachments/{new_id()}", content=b"x")
    assert (response.status_code, response.json()["code"], response.headers["Retry-After"]) == (
        503,
        "files-unavailable",
        "1",
    )
    monkeypatch.undo()
    assert (await client.put(f"{path}/attachments/{new_id()}", content=b"x")).status_code == 201
    assert upkeep.take_inventory(database, store).faults == []


async def test_a_prune_waits_for_the_commit_of_an_upload(site, database, store):
    """An upload checks that its bytes are stored, then commits its attachment: no prune may remove them in between."""
    client, path = site
    has_checked, has_pruned = threading.Event(), threading.Event()

    def upload(tx):
        tx.acquire_files_lock(shared=True)
        has_checked.set()
        return has_pruned.wait(0.5)

    def prune(tx):
        upkeep.remover(store, [])(tx)
        has_pruned.set()

    other = Database(database.url)
    pruned_before_commit: list[bool] = []
    uploading = threading.Thread(target=lambda: pruned_before_commit.append(other.transact(upload)))
    uploading.start()
    has_checked.wait(10)
    database.transact(prune)
    uploading.join()
    other.close_writer()
    assert pruned_before_commit == [False]
    assert (await client.get(path)).status_code == 200


async def test_verify_proves_every_byte(site, database, store):
    client, path = site
    response = await client.post(f"{path}/attachments", files=[part(b"whole"), part(b"damaged"), part(b"missing")])
    assert response.status_code == 201
    keep(store, b"orphaned")
    assert upkeep.take_inventory(database, store).faults == []
    store.path_of(digest(b"damaged")).write_bytes(b"dAmaged")
    store.path_of(digest(b"missing")).unlink()
    inventory = upkeep.take_inventory(database, store)
    assert (inventory.files, inventory.missing, inventory.damaged) == (1, [digest(b"missing")], [digest(b"damaged")])
    assert inventory.orphaned == [digest(b"orphaned")]
    assert [digest(b"missing") in inventory.faults[0], digest(b"damaged") in inventory.faults[1]] == [True, True]
    assert upkeep.take_inventory(database, None).missing == sorted(
        digest(b) for b in (b"whole", b"damaged", b"missing")
    )


async def test_a_full_disk_refuses_an_upload_and_loses_nothing(site, store, monkeypatch):
    client, path = site
    await client.put(f"{path}/attachments/{new_id()}", content=b"before")

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    for method in ("write", "seal", "keep"):
        with monkeypatch.context() as patched:
            patched.setattr(IncomingPart, method, fail)
            response = await client.put(f"{path}/attachments/{new_id()}", content=b"while it is full")
            assert (response.status_code, response.json()["code"]) == (StorageFull.status, "storage-full"), method
    await wait_until(lambda: not [*store.folder.glob("incoming/*")])
    assert names(store) == [digest(b"before")]
    assert (await client.get(path)).json()["attachment_count"] == 1
    response = await client.put(f"{path}/attachments/{new_id()}", content=b"after")
    assert response.status_code == 201


async def test_a_folder_that_cannot_be_used_is_named(database_url, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    async with serving(Settings(database_url=database_url, files=str(blocked / "folder"))) as client:
        log = await new_log(client)
        response = await client.put(f"/logs/{log['uuid']}/attachments/{new_id()}", content=b"x")
        assert (response.status_code, response.json()["code"]) == (503, "files-unavailable")
        assert "Not a directory" in response.json()["detail"]


def test_the_folder_is_beside_the_sqlite_file(tmp_path):
    url = database_urls.parse(f"sqlite:///{tmp_path / 'a.db'}")
    assert receiving.store_of("", url).folder == tmp_path / "a.db-files"
    assert receiving.store_of("/srv/files", url).folder == Path("/srv/files")
    assert receiving.store_of("", database_urls.parse("postgresql://u@h/d")) is None
