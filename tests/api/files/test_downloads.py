"""Downloads of attachments: ranges, validators, the file name, and bytes that are missing."""

import shutil

import pytest

from api.files.samples import digest, image, new_log, part

CONTENT = bytes(range(256)) * 1_000


@pytest.fixture
async def path(client):
    """The path of an attachment that has CONTENT."""
    log = await new_log(client)
    response = await client.post(f"/logs/{log['uuid']}/attachments", files=[part(CONTENT, 'Zeit "50%" — été.bin')])
    return f"/attachments/{response.json()['attachments'][0]['id']}"


async def test_one_range_of_bytes_is_sent(client, path):
    size = len(CONTENT)
    ranges = {
        "bytes=0-0": (0, 1),
        "bytes=10-19": (10, 20),
        "bytes=255990-": (255_990, size),
        "bytes=-5": (size - 5, size),
        "bytes=-999999999": (0, size),
        f"bytes=5-{size + 9}": (5, size),
        "Bytes = 7 - 8": (7, 9),
    }
    for given, (start, end) in ranges.items():
        response = await client.get(path, headers={"Range": given})
        assert (response.status_code, response.content) == (206, CONTENT[start:end]), given
        assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert response.headers["Content-Length"] == str(end - start)
    for given in (f"bytes={size}-", "bytes=-0", "bytes=999999999-9999999999"):
        response = await client.get(path, headers={"Range": given})
        assert (response.status_code, response.headers["Content-Range"]) == (416, f"bytes */{size}"), given
        assert response.json()["code"] == "range-not-satisfiable"
    # Several ranges, another unit, or no range at all: the whole file, as RFC 9110 allows.
    for given in ("bytes=0-1,5-6", "lines=1-2", "bytes=5-2", "bytes=-", "bytes=a-b", "bytes=" + "1" * 40 + "-"):
        response = await client.get(path, headers={"Range": given})
        assert (response.status_code, len(response.content)) == (200, size), given


async def test_validators_are_the_digest(client, path):
    tag = f'"{digest(CONTENT)}"'
    response = await client.get(path)
    assert (response.headers["ETag"], response.headers["Accept-Ranges"]) == (tag, "bytes")
    assert response.headers["Cache-Control"] == "private, no-cache"
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        unchanged = await client.get(path, headers={"If-None-Match": given})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", tag), given
    assert (await client.get(path, headers={"If-None-Match": '"other"'})).status_code == 200
    for condition, status in ((tag, 206), ('"other"', 200), (f"W/{tag}", 200)):
        response = await client.get(path, headers={"Range": "bytes=0-1", "If-Range": condition})
        assert response.status_code == status, condition
    head = await client.head(path)
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(CONTENT)))
    assert (await client.get(f"{path}?download=1")).status_code == 422
    assert (await client.get("/attachments/7")).status_code == 404


async def test_a_browser_learns_the_name_and_runs_nothing(client, path):
    response = await client.get(path)
    kind, plain, full = response.headers["Content-Disposition"].split("; ")
    assert (kind, plain) == ("attachment", 'filename="Zeit _50__ _ _t_.bin"')
    assert full == "filename*=UTF-8''Zeit%20%2250%25%22%20%E2%80%94%20%C3%A9t%C3%A9.bin"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


async def test_bytes_that_are_missing_are_named(client, folder):
    log = await new_log(client)
    attachment = (await client.post(f"/logs/{log['uuid']}/attachments", files=[part(image())])).json()["attachments"][0]
    sha256 = attachment["sha256"]
    assert (await client.get(f"/attachments/{attachment['id']}/preview")).status_code == 200
    shutil.rmtree(folder / "previews")
    (folder / sha256[:2] / sha256[2:4] / sha256).unlink()
    for path in (f"/attachments/{attachment['id']}", f"/attachments/{attachment['id']}/preview?size=1280"):
        response = await client.get(path)
        assert (response.status_code, response.json()["code"]) == (500, "file-missing")
    # The same bytes again: they are there for both.
    await client.post(f"/logs/{log['uuid']}/attachments", files=[part(image())])
    assert (await client.get(f"/attachments/{attachment['id']}")).content == image()
