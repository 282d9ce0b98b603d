"""Files that were made to do harm: stored as they came, served so that nothing in them runs, decoded within bounds."""

import errno
import json
import time
from functools import partial

import pytest

from api.files.samples import (
    animation,
    archive,
    digest,
    image,
    new_id,
    new_log,
    opendocument,
    part,
    png_of_size,
)
from machine_monitor.models.attachment import clean_name
from machine_monitor.services.files import decoding

SCRIPT = b"<script>alert(document.domain)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"></svg>'
BYTES = "application/octet-stream"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
# Name, bytes, the media type in the record, and the one that is sent.
FILES = [
    ("page.html", b"<!DOCTYPE html>" + SCRIPT, "text/html", BYTES),
    ("photo.jpg", b"\n <html>" + SCRIPT, "text/html", BYTES),
    ("photo.png", SCRIPT, "text/html", BYTES),
    ("logo.svg", SVG, "image/svg+xml", BYTES),
    ("logo.png", b'<?xml version="1.0"?>\n<!-- x -->\n' + SVG, "image/svg+xml", BYTES),
    ("feed.xml", b'\xef\xbb\xbf<?xml version="1.0"?><a/>', "application/xml", BYTES),
    ("polyglot.gif", b"GIF89a/*" + SCRIPT + b"*/=1;alert(1)", "text/plain", "text/plain; charset=utf-8"),
    ("polyglot.gif", b"GIF89a\x01\0\x01\0/*" + SCRIPT + b"*/=1", "image/gif", "image/gif"),
    ("bomb.png", png_of_size(20_000, 10_000), "image/png", "image/png"),
    ("wide.png", png_of_size(2**31 - 1, 2**31 - 1), "image/png", "image/png"),
    ("frames.gif", animation(600), "image/gif", "image/gif"),
    ("cut.jpg", image("JPEG", 640, 480)[:40], "image/jpeg", "image/jpeg"),
    ("zipbomb.docx", archive("[Content_Types].xml", "word/document.xml", content=bytes(9_000_000)), WORD, WORD),
    ("named.docx", archive("a.txt"), "application/zip", "application/zip"),
    (
        "letter.zip",
        opendocument(),
        "application/vnd.oasis.opendocument.text",
        "application/vnd.oasis.opendocument.text",
    ),
    ("book.epub", opendocument("application/epub+zip"), "application/epub+zip", "application/epub+zip"),
    ("claims.zip", opendocument("application/json"), "application/zip", "application/zip"),
    ("broken.zip", b"PK\x03\x04" + b"\xff" * 200, "application/zip", "application/zip"),
    ("photo.jpg", b"MZ\x90\0" + bytes(60), "application/vnd.microsoft.portable-executable", None),
    ("noise.jpg", bytes(range(256)), BYTES, BYTES),
    ("empty.jpg", b"", BYTES, BYTES),
    ("values.html", b"a;b\n1;2\n", "text/plain", "text/plain; charset=utf-8"),
]
# The original is shown by browsers: an image that the decoder has opened.
IMAGES = [
    ("JPEG", "image/jpeg"),
    ("PNG", "image/png"),
    ("GIF", "image/gif"),
    ("WEBP", "image/webp"),
    ("AVIF", "image/avif"),
]


@pytest.mark.proof("files with scripts, polyglots, bombs and wrong names")
async def test_hostile_files_are_stored_as_they_came_and_never_run(client, record_counts):
    log = await new_log(client)
    for name, content, media_type, sent in FILES:
        response = await client.put(f"/logs/{log['uuid']}/attachments/{new_id()}?name={name}", content=content)
        assert response.status_code == 201, response.text
        attachment = response.json()["attachments"][-1]
        assert (attachment["name"], attachment["media_type"], attachment["width"]) == (name, media_type, None)
        assert attachment["sha256"] == digest(content)
        served = await client.get(f"/attachments/{attachment['id']}")
        assert served.content == content
        assert served.headers["Content-Type"] == (sent or media_type), name
        assert served.headers["Content-Disposition"].startswith("attachment; "), name
        assert served.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        assert served.headers["X-Content-Type-Options"] == "nosniff"
        assert (await client.get(f"/attachments/{attachment['id']}/preview")).status_code == 404, name
    record_counts(len(FILES), run=0, decoded_beyond_bounds=0)


async def test_images_are_shown_whatever_their_name_says(client):
    log = await new_log(client)
    for form, media_type in IMAGES:
        content = image(form) + SCRIPT
        response = await client.put(f"/logs/{log['uuid']}/attachments/{new_id()}?name=a.html", content=content)
        attachment = response.json()["attachments"][-1]
        assert (attachment["media_type"], attachment["width"]) == (media_type, 64)
        served = await client.get(f"/attachments/{attachment['id']}")
        assert (served.content, served.headers["Content-Type"]) == (content, media_type)
        assert served.headers["Content-Disposition"].startswith("inline; ")
        assert served.headers["Content-Security-Policy"].startswith("sandbox; ")
        preview = await client.get(f"/attachments/{attachment['id']}/preview")
        assert (preview.status_code, SCRIPT in preview.content) == (200, False), form


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        (r"C:\Users\me\plate.jpg", "plate.jpg"),
        ("a\r\nSet-Cookie: x=1.jpg", "aSet-Cookie: x=1.jpg"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("\u2066a\u2069\u200f.pdf", "a.pdf"),
        ("e\u0301te\u0301.jpg", "été.jpg"),
        ("a\0b.jpg", "ab.jpg"),
        ("   a   b .jpg ", "a b .jpg"),
        ("..", "file"),
        ("", "file"),
        ("\x07/", "file"),
        ("x" * 300 + ".jpeg", "x" * 195 + ".jpeg"),
        ("." * 300, "file"),
        ("写真 📷.jpg", "写真 📷.jpg"),
        ("\ud800.jpg", ".jpg"),
    ],
)
def test_names_lose_folders_and_what_cannot_be_printed(given, expected):
    assert clean_name(given) == expected
    assert clean_name(expected) == expected


async def test_names_of_a_form_are_cleaned(client):
    log = await new_log(client)
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    names = (b"../../a.jpg", b"a%0D%0Ab\xe2\x80\xae.jpg", b"\xff\xfe.jpg", b"")
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="%b"\r\n\r\nx\r\n' % name for name in names
    )
    response = await client.post(f"/logs/{log['uuid']}/attachments", headers=form, content=body + b"--b--\r\n")
    assert response.status_code == 201, response.text
    assert [each["name"] for each in response.json()["attachments"]] == ["a.jpg", "ab.jpg", "ÿþ.jpg", "file"]
    # A form in which a browser's user has chosen no file.
    empty = b'--b\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\n\r\n--b--\r\n'
    assert (await client.post(f"/logs/{log['uuid']}/attachments", headers=form, content=empty)).status_code == 422


async def test_a_large_picture_of_a_phone_has_a_preview(client):
    """One of 108 million pixels is what the largest cameras make; it is within the bound of memory."""
    log = await new_log(client)
    content = image("JPEG", 12_000, 9_000, "L", quality=10)
    response = await client.post(f"/logs/{log['uuid']}/attachments", files=[part(content)])
    attachment = response.json()["attachments"][0]
    assert (attachment["width"], attachment["height"]) == (12_000, 9_000)
    assert (await client.get(f"/attachments/{attachment['id']}/preview?size=320")).status_code == 200


@pytest.mark.slow
def test_a_decoder_that_hangs_or_grows_is_stopped(tmp_path, monkeypatch):
    program, file = tmp_path / "decoder.py", tmp_path / "file"
    file.write_bytes(b"x")
    monkeypatch.setattr(decoding.decoder, "__file__", str(program))
    monkeypatch.setattr(decoding, "RUN_SECONDS", 1.0)
    program.write_text("print('whole')")
    assert decoding.run(set(), partial(file.open, "rb"), "inspect") == b"whole\n"
    for source in (
        "print('whole', flush=True); import time; time.sleep(60)",
        "while True: print('x' * 1000)",
        "print('whole', flush=True); import os; os.abort()",
    ):
        program.write_text(source)
        began = time.monotonic()
        assert decoding.run(set(), partial(file.open, "rb"), "inspect") is None
        assert time.monotonic() - began < 20


async def test_what_a_decoder_says_is_checked(tmp_path, monkeypatch):
    program, file = tmp_path / "decoder.py", tmp_path / "file"
    file.write_bytes(b"x")
    monkeypatch.setattr(decoding.decoder, "__file__", str(program))
    png = "image/png"
    cases = [
        ({"media_type": png, "width": 2, "height": 1}, (png, 2, 1)),
        ({"media_type": "text/html\r\nSet-Cookie: a=b", "width": 2, "height": 1}, (BYTES, 2, 1)),
        ({"media_type": [png], "width": 2, "height": 1}, (BYTES, 2, 1)),
        ({"media_type": png, "width": 10**12, "height": 1}, (png, None, None)),
        ({"media_type": png, "width": -1, "height": "2"}, (png, None, None)),
        ({"other": 1}, (BYTES, None, None)),
        ([], (BYTES, None, None)),
        ("x", (BYTES, None, None)),
    ]
    decoder = decoding.Decoder()
    for output, expected in cases:
        program.write_text(f"print({json.dumps(output)!r})")
        assert await decoder.inspect("", partial(file.open, "rb")) == expected
    program.write_text("print('no JPEG')")
    assert await decoder.preview("", partial(file.open, "rb"), 320) is None
    decoder.close()


async def test_a_decoder_that_cannot_start_is_a_problem_that_says_so(client, monkeypatch):
    log = await new_log(client)

    def fail(*_, **__):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(decoding.subprocess, "Popen", fail)
    response = await client.post(f"/logs/{log['uuid']}/attachments", files=[part(image())])
    assert (response.status_code, response.json()["code"]) == (503, "files-unavailable")
