"""Previews of attached pictures: shape, metadata, when and where they are made."""

import asyncio
import threading
import time
from io import BytesIO
from pathlib import Path

from PIL import Image

from api.files.samples import attach, image, new_log, part, phone_photo
from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.services.files import decoding
from waiting import wait_until


async def test_previews_are_upright_small_and_without_metadata(client):
    log = await new_log(client)
    for form in ("JPEG", "HEIF", "WEBP"):
        log = (await attach(client, log, part(phone_photo(form)))).json()
        attachment = log["attachments"][-1]
        assert (attachment["width"], attachment["height"]) == (480, 640), form
        original = await client.get(f"/attachments/{attachment['id']}")
        assert original.content == phone_photo(form)
        for size, shape in (("", (240, 320)), ("?size=320", (240, 320)), ("?size=1280", (480, 640))):
            response = await client.get(f"/attachments/{attachment['id']}/preview{size}")
            assert (response.status_code, response.headers["Content-Type"]) == (200, "image/jpeg")
            with Image.open(BytesIO(response.content)) as preview:
                assert (preview.size, dict(preview.getexif())) == (shape, {})
                # The left half of what the camera wrote is the upper half.
                red, _, blue = preview.getpixel((10, 10))
                assert (red > 200, blue < 50) == (True, True)
        unchanged = await client.get(
            f"/attachments/{attachment['id']}/preview", headers={"If-None-Match": f'"{attachment["sha256"]}-320"'}
        )
        assert (unchanged.status_code, unchanged.content) == (304, b"")
    for bad in ("size=64", "size=320&size=320", "width=3"):
        assert (await client.get(f"/attachments/{attachment['id']}/preview?{bad}")).status_code == 422


async def test_previews_are_ready_soon_after_the_upload(client, folder):
    log = await new_log(client)
    await attach(client, log, *[part(image(width=60 + number)) for number in range(5)])
    await wait_until(lambda: len([*folder.glob("previews/320/*/*.jpg")]) == 5)


async def test_previews_are_looked_up_outside_the_event_loop(client, folder, monkeypatch):
    attachment = (await attach(client, await new_log(client), part(image()))).json()["attachments"][0]
    path, stat, threads = f"/attachments/{attachment['id']}/preview", Path.stat, []

    def record_thread(self, **options):
        if (folder / "previews") in self.parents:
            threads.append(threading.current_thread())
        return stat(self, **options)

    monkeypatch.setattr(Path, "stat", record_thread)
    for _ in range(2):
        assert (await client.get(path)).status_code == 200
    assert threads
    assert threading.current_thread() not in threads


async def test_a_service_that_stops_ends_the_decoder_and_caches_nothing(database_url, folder, tmp_path, monkeypatch):
    async with serving(Settings(database_url=database_url, files=str(folder))) as client:
        log = (await attach(client, await new_log(client), part(image()))).json()
    for preview in folder.glob("previews/320/*/*"):
        preview.unlink()
    program, started = tmp_path / "decoder.py", tmp_path / "started"
    program.write_text(f"import time, pathlib; pathlib.Path({str(started)!r}).touch(); time.sleep(60)")
    monkeypatch.setattr(decoding.decoder, "__file__", str(program))
    async with serving(Settings(database_url=database_url, files=str(folder))) as client:
        asking = asyncio.create_task(client.get(f"/attachments/{log['attachments'][0]['id']}/preview"))
        await wait_until(started.exists)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    await asyncio.gather(asking, return_exceptions=True)
    assert [*folder.glob("previews/320/*/*")] == []
