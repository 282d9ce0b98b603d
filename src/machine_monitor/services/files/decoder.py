"""Interpret the bytes of one file, in a process of its own with limits: `python -m ...decoder inspect|preview SIZE`.

The file is standard input. `inspect` writes its media type and, of an image, its width and height as JSON; `preview`
writes a JPEG. Bytes that were made to break a decoder break this process, which has nothing: it ends at a limit of
memory and time, and what it has written so far is not used.
"""

import io
import json
import os
import re
import sys
import zipfile
from contextlib import suppress
from typing import Any, BinaryIO

# Status: the file is not an image within these bounds. Any other status than 0 means that the process failed.
NOT_DECODABLE = 3
MEMORY_BYTES = 1024 * 1024 * 1024
CPU_SECONDS = 20
# The largest cameras of phones have 108 million pixels in one picture. More is not decoded.
MAX_PIXELS = 120_000_000
# An animation with more pictures is not decoded; otherwise its first one is the preview.
MAX_FRAMES = 500
# The formats that are decoded, by the names of Pillow. Its others include EPS, which runs a program.
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "HEIF", "AVIF", "BMP", "TIFF")
MEDIA_TYPES = {"MPO": "image/jpeg", "HEIF": "image/heic"}
QUALITY = 82
# The EXIF tag that says how an image is to be turned.
ORIENTATION = 0x0112
# How much of a file is read to tell texts from other bytes.
HEAD_BYTES = 4096
UNKNOWN, TEXT = "application/octet-stream", "text/plain"
OFFICE_NAMES = {
    "word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt/": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
# What puremagic takes for something else, or finds only with more of the file.
BEGINNINGS = {b"%PDF-": "application/pdf", b"{\\rtf": "application/rtf"}
BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1"), "image/heic"),
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"M4A ", b"M4B "), "audio/mp4"),
    b"qt  ": "video/quicktime",
    b"3gp4": "video/3gpp",
    b"3gp5": "video/3gpp",
}
# An archive with more members is not looked into.
MAX_MEMBERS = 10_000
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
# Texts that a browser would run if it were told their type; they begin with `<`.
_MARKUP = (
    (re.compile(rb"<svg[\s>]|<!doctype\s+svg", re.IGNORECASE), "image/svg+xml"),
    (re.compile(rb"\A\s*<\?xml[\s>]", re.IGNORECASE), "application/xml"),
    (re.compile(rb"\A\s*<[!a-z]", re.IGNORECASE), "text/html"),
)
# What the first member of an archive, `mimetype`, may say: OpenDocument files and e-books have one.
_CLAIMED_TYPES = re.compile(r"application/(vnd\.oasis\.opendocument\.[a-z-]{1,50}|epub\+zip)")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def limit_process() -> None:
    """Limit what this process can use."""
    with suppress(ImportError):  # Windows
        import resource  # noqa: PLC0415 -- only where it exists

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # It may write to its standard output, a pipe, and to no file.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        os.nice(10)


def open_image(file: BinaryIO) -> Any:
    """Open an image without decoding it; None if it is not an image within the bounds."""
    from PIL import Image  # noqa: PLC0415 -- after the limits are set

    _load_formats(file)
    # Our own bound replaces Pillow's, which only warns.
    Image.MAX_IMAGE_PIXELS = None
    file.seek(0)
    try:
        image = Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN])
        frames = getattr(image, "n_frames", 1) if getattr(image, "is_animated", False) else 1
    except Exception:  # noqa: BLE001 -- parsers of images raise anything for bytes that were made to break them
        return None
    return None if image.width * image.height > MAX_PIXELS or frames > MAX_FRAMES else image


def _load_formats(file: BinaryIO) -> None:
    """Load the decoders that this file may need. All of Pillow's would take longer than most previews."""
    from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401, PLC0415 -- each registers its format

    Image.preinit()
    file.seek(4)
    box, brand = file.read(4), file.read(4)
    if box == b"ftyp" and brand in (b"avif", b"avis"):
        from PIL import AvifImagePlugin  # noqa: F401, PLC0415 -- registers its format
    elif box == b"ftyp":
        import pillow_heif  # noqa: PLC0415 -- only for its formats

        pillow_heif.register_heif_opener()


def upright_size(image: Any) -> tuple[int, int]:
    """Return width and height of an image as it is looked at: EXIF can say that it lies on its side."""
    if image.format == "PNG" and "exif" not in image.info:
        # Pillow would decode the image to look for EXIF behind it.
        return image.width, image.height
    try:
        sideways = image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception:  # noqa: BLE001 -- damaged EXIF raises anything; the image may be whole
        sideways = False
    return (image.height, image.width) if sideways else (image.width, image.height)


def inspect(file: BinaryIO) -> dict[str, Any]:
    """Return the media type of a file and, of an image that can be decoded, its width and height."""
    image = open_image(file)
    if image is not None:
        width, height = upright_size(image)
        media_type = MEDIA_TYPES.get(image.format) or image.get_format_mimetype() or UNKNOWN
        return {"media_type": media_type, "width": width, "height": height}
    return {"media_type": media_type_of(file), "width": None, "height": None}


def media_type_of(file: BinaryIO) -> str:
    """Return the media type of a file that cannot be decoded as an image."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if head.startswith(b"PK\x03\x04"):
        return _archive_type(file)
    for beginning, media_type in BEGINNINGS.items():
        if head.startswith(beginning):
            return media_type
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12], "video/mp4")
    if not _CONTROL.search(head):
        return _text_type(head.removeprefix(_BYTE_ORDER_MARK))
    import puremagic  # noqa: PLC0415 -- only for what nothing else has recognized

    try:
        (best, *_) = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return UNKNOWN
    return best.mime_type or UNKNOWN


def _text_type(head: bytes) -> str:
    if not head:
        return UNKNOWN
    is_markup = head.lstrip().startswith(b"<")
    return next((media_type for pattern, media_type in _MARKUP if is_markup and pattern.search(head)), TEXT)


def _archive_type(file: BinaryIO) -> str:
    """Return the type of a ZIP file from the names in it; nothing is unpacked."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()[:MAX_MEMBERS]
            if names[:1] == ["mimetype"] and archive.getinfo("mimetype").compress_type == zipfile.ZIP_STORED:
                return _claimed_type(archive)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        return "application/zip"
    if "[Content_Types].xml" in names:
        for prefix, media_type in OFFICE_NAMES.items():
            if any(name.startswith(prefix) for name in names):
                return media_type
    return "application/zip"


def _claimed_type(archive: zipfile.ZipFile) -> str:
    with archive.open("mimetype") as member:
        given = member.read(100).decode("ascii", "replace")
    return given if _CLAIMED_TYPES.fullmatch(given) else "application/zip"


def preview(file: BinaryIO, size: int) -> bytes | None:
    """Return a JPEG of at most `size` pixels on each side: upright, in sRGB, without metadata; None if impossible."""
    image = open_image(file)
    if image is None:
        return None
    from PIL import Image, ImageOps  # noqa: PLC0415 -- after the limits are set

    # JPEG can be decoded at a fraction of its size, which takes a fraction of the memory.
    image.draft("RGB", (size * 2, size * 2))
    profile = image.info.get("icc_profile")
    image.seek(0)
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    image = _flatten(_to_srgb(ImageOps.exif_transpose(image), profile))
    target = io.BytesIO()
    # A new image has no metadata: neither where the picture was taken nor by which camera.
    clean = Image.new("RGB", image.size)
    clean.paste(image)
    clean.save(target, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return target.getvalue()


def _to_srgb(image: Any, profile: bytes | None) -> Any:
    """Convert the colours of a profile, as phones use, to those that every browser shows."""
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    from PIL import ImageCms  # noqa: PLC0415 -- only for images with a profile

    try:
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, io.BytesIO(profile), srgb, outputMode=mode) or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


def _flatten(image: Any) -> Any:
    """Put an image with transparent parts on white."""
    from PIL import Image  # noqa: PLC0415 -- after the limits are set

    if image.mode.startswith("I"):
        # 16 bits a pixel, as of some scanners.
        return image.point(lambda value: value / 256).convert("L").convert("RGB")
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(layered, mask=layered.getchannel("A"))
    return white


def main() -> int:
    """Run the job that the arguments name."""
    limit_process()
    file = os.fdopen(os.dup(0), "rb")
    job, *arguments = sys.argv[1:]
    try:
        result = json.dumps(inspect(file)).encode() if job == "inspect" else preview(file, int(arguments[0]))
    except Exception:  # noqa: BLE001 -- decoders raise anything for damaged images
        return NOT_DECODABLE
    if result is None:
        return NOT_DECODABLE
    sys.stdout.buffer.write(result)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
