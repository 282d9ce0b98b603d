"""Files for tests, made by Pillow or by hand, and the requests that send them."""

import io
import struct
import uuid
import zipfile
import zlib
from functools import cache
from hashlib import sha256
from typing import Any

import pillow_heif
from PIL import Image

from machine_monitor.services.files.store import FolderStore

pillow_heif.register_heif_opener()
ORIENTATION, GPS, LATITUDE = 0x0112, 0x8825, 2


@cache
def image(form: str = "JPEG", width: int = 64, height: int = 48, mode: str = "RGB", **options: Any) -> bytes:
    """Return an image with a gradient, so that its pixels say where they were."""
    target = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert(mode).save(target, form, **options)
    return target.getvalue()


@cache
def phone_photo(form: str = "JPEG") -> bytes:
    """Return a photo of a phone that was held upright: its pixels lie on their side, and it says where it was taken."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif.get_ifd(GPS)[LATITUDE] = (48.0, 51.0, 29.0)
    picture = Image.new("RGB", (640, 480), "blue")
    picture.paste("red", (0, 0, 320, 480))
    target = io.BytesIO()
    picture.save(target, form, exif=exif.tobytes())
    return target.getvalue()


@cache
def png_of_size(width: int, height: int) -> bytes:
    """Return a PNG whose header says that it has these many pixels, in a few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width // 8 + 1) * 10))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@cache
def animation(frames: int) -> bytes:
    target = io.BytesIO()
    pictures = [Image.new("L", (4, 4), number % 256) for number in range(frames)]
    pictures[0].save(target, "GIF", save_all=True, append_images=pictures[1:])
    return target.getvalue()


@cache
def archive(*names: str, content: bytes = b"x") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(name, content)
    return target.getvalue()


@cache
def opendocument(media_type: str = "application/vnd.oasis.opendocument.text") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr("mimetype", media_type)
    return target.getvalue()


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def part(content: bytes, name: str | None = "photo.jpg") -> tuple[str, tuple[str | None, bytes]]:
    """Return a part of a form that is a file."""
    return ("files", (name, content))


def new_id() -> str:
    return str(uuid.uuid4())


async def new_log(client: Any, **fields: Any) -> dict[str, Any]:
    """Create a log on the machine `Press`."""
    await client.put("/machines/Press", json={})
    return (await client.post("/logs", json={"machine": "Press", "type": "info", **fields})).json()


def path_of(log: dict) -> str:
    return f"/logs/{log['uuid']}"


async def attach(client, log, *parts):
    response = await client.post(f"{path_of(log)}/attachments", files=[*parts])
    assert response.status_code == 201, response.text
    return response


def names(store: FolderStore) -> list[str]:
    """Return the names of the files in a store, which are their digests."""
    return [file.digest for file in store.files()]
