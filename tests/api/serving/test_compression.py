"""gzip: which responses are compressed, for which clients, and that the content stays the same."""

import gzip
import json
import zlib

import pytest
from fastapi import Response

from api.access.site import opened
from api.paced_client import PacedClient, assert_resources_released, fill, running
from conftest import client_of
from machine_monitor.api.serving import compression
from machine_monitor.api.serving.compression import preferred_encoding

LOG = "/logs/00000000-0000-4000-8000-000000000001"
COMPRESSED = [
    ("/logs?limit=100", "application/json"),
    ("/logs?limit=500", "application/json"),
    (LOG, "application/json"),
    (f"{LOG}/history", "application/json"),
    ("/changes?since=0", "application/json"),
    ("/openapi.json", "application/json"),
    ("/logs.csv", "text/csv; charset=utf-8"),
    ("/logs.csv?dialect=excel", "text/csv; charset=utf-8"),
    ("/logs.ndjson", "application/x-ndjson"),
    (f"/logs?{'&'.join(f'no{number}=1' for number in range(20))}", "application/problem+json"),
]
# Smaller than 1 KiB, or of another type.
NOT_COMPRESSED = [
    *("/", "/logs?limit=1&fields=uuid", "/logs.csv?fields=uuid&cause=none", "/machines.ndjson?fields=name"),
    *("/logs.ndjson?cause=none", "/logs.xlsx", "/machines/Saw/label.svg"),
]


async def raw(client, method, path, accepted, **options):
    """Send a request, and return the response and the bytes that were sent."""
    headers = {"Accept-Encoding": accepted} | options.pop("headers", {})
    request = client.build_request(method, path, headers=headers, **options)
    response = await client.send(request, stream=True)
    return response, b"".join([part async for part in response.aiter_raw()])


@pytest.mark.parametrize(
    ("accepted", "best"),
    [
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("*", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.9", "gzip"),
        ("br;q=0, *", "gzip"),
        ("gzip ; q=0.001", "gzip"),
        ("gzip;level=9;q=0.5", "gzip"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0, gzip", "gzip"),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=0", None),
        ("gzip;q=0.000", None),
        ("*;q=0", None),
        ("gzip;q=0, *;q=0.5, br;q=0", None),
        ("gzip;q=1.5", None),
        ("gzip;q=", None),
        ("gzip;q=nan", None),
        ("identity", None),
        ("deflate", None),
        ("notgzip, gzipped", None),
        ("", None),
    ],
)
def test_the_encoding_that_the_client_prefers(accepted, best):
    assert preferred_encoding([(b"accept-encoding", accepted.encode())], ("br", "gzip")) == best


def test_the_header_may_be_missing_or_repeated():
    assert preferred_encoding([], ("gzip",)) is None
    assert preferred_encoding([(b"accept-encoding", b"br"), (b"accept-encoding", b"gzip")], ("gzip",)) == "gzip"


async def test_json_csv_and_ndjson_are_compressed_if_the_client_accepts_it(database_url):
    fill(database_url, 120, comment="The same words again. " * 60)
    async with running(database_url) as app, client_of(app) as client:
        for path, media_type in COMPRESSED:
            plain, content = await raw(client, "GET", path, "identity")
            response, sent = await raw(client, "GET", path, "br;q=1, gzip;q=0.5")
            assert (response.headers["Content-Encoding"], response.headers["Content-Type"]) == ("gzip", media_type), (
                path
            )
            assert ("Content-Encoding" in plain.headers, len(sent) < len(content) / 2) == (False, True), path
            assert plain.headers["Vary"] == response.headers["Vary"] == "Accept-Encoding", path
            if "problem" not in media_type:
                assert gzip.decompress(sent) == content, path
            for got in (plain, response):
                head, nothing = await raw(client, "HEAD", path, got.request.headers["Accept-Encoding"])
                kept = ("Content-Encoding", "Content-Type", "ETag", "Link", "Vary")
                assert [head.headers.get(name) for name in kept] == [got.headers.get(name) for name in kept], path
                assert nothing == b"", path
        for path in NOT_COMPRESSED:
            response, _ = await raw(client, "GET", path, "gzip")
            assert (response.status_code, "Content-Encoding" in response.headers) == (200, False), path


async def test_the_etag_names_the_version_whatever_the_encoding(database_url):
    fill(database_url, 2, comment="long " * 300)
    async with running(database_url) as app, client_of(app) as client:
        for accepted in ("gzip", "identity"):
            response, sent = await raw(client, "GET", LOG, accepted)
            assert (response.headers["ETag"], response.headers["Content-Length"]) == ('"1"', str(len(sent)))
            head, _ = await raw(client, "HEAD", LOG, accepted)
            assert head.headers["Content-Length"] == str(len(sent))
            known, nothing = await raw(client, "GET", LOG, accepted, headers={"If-None-Match": '"1"'})
            assert (known.status_code, known.headers["ETag"], known.headers["Vary"]) == (304, '"1"', "Accept-Encoding")
            assert ("Content-Encoding" in known.headers, nothing) == (False, b"")
        written, sent = await raw(client, "PATCH", LOG, "gzip", json={"cause": "Wear"}, headers={"If-Match": '"1"'})
        assert (written.status_code, written.headers["ETag"]) == (200, '"2"')
        assert json.loads(gzip.decompress(sent))["cause"] == "Wear"


async def test_a_replayed_response_has_the_same_content_in_any_encoding(database_url):
    fill(database_url, 1)
    body = {"machine": "Saw", "type": "info", "comment": "long " * 300}
    async with running(database_url) as app, client_of(app) as client:
        contents = []
        for accepted in ("gzip", "identity", "gzip"):
            response, sent = await raw(client, "POST", "/logs", accepted, json=body, headers={"Idempotency-Key": "one"})
            assert (response.status_code, response.headers["ETag"]) == (201, '"1"')
            assert response.headers.get("Content-Encoding") == ("gzip" if accepted == "gzip" else None)
            contents.append(gzip.decompress(sent) if accepted == "gzip" else sent)
        assert response.headers["Idempotency-Replayed"] == "true"
        assert contents == [contents[0]] * 3


async def test_the_rows_of_a_compressed_stream_can_be_read_when_they_arrive(database_url, monkeypatch):
    for module in ("sqlite.driver", "postgresql.readers"):
        monkeypatch.setattr(f"machine_monitor.database.engines.{module}.FETCH_SIZE", 10)
    fill(database_url, 45)
    for inline in (compression.INLINE_BYTES, 0):
        monkeypatch.setattr(compression, "INLINE_BYTES", inline)
        async with running(database_url) as app:
            client = PacedClient(app, "/logs.ndjson", accept_encoding="gzip")
            (start,) = await client.take()
            assert (b"content-encoding", b"gzip") in start["headers"]
            assert b"content-length" not in dict(start["headers"])
            reader, seen = zlib.decompressobj(compression.GZIP_CONTAINER), []
            for _ in range(5):
                (message,) = await client.take()
                seen.append(reader.decompress(message["body"]).count(b"\n"))
            assert seen == [10, 10, 10, 10, 5]
            rest, ended = await client.rest()
            assert (reader.decompress(rest), reader.eof, ended) == (b"", True, True)
            await assert_resources_released(app)


async def test_secrets_and_event_streams_are_never_compressed(database_url):
    async with opened(database_url) as site:
        await site.add_users()
        admin = await site.by_session("ADM")
        for number in range(12):
            body = {"name": f"{number} {'x' * 80}", "scope": "read"}
            response, _ = await raw(admin, "POST", "/tokens", "gzip", json=body)
            assert (response.status_code, "Content-Encoding" in response.headers) == (201, False)
        for path in ("/tokens", "/me", "/me/sessions", f"/me?{'&'.join(f'no{number}=1' for number in range(20))}"):
            response, sent = await raw(admin, "GET", path, "gzip")
            assert ("Content-Encoding" in response.headers, "Vary" in response.headers) == (False, False), path
            assert len(sent) > 1024 or path.startswith("/me"), path
    async with running(database_url, anonymous="read") as app:
        client = PacedClient(app, "/events?since=0", accept_encoding="gzip")
        start, greeting = await client.take(2)
        assert b"content-encoding" not in dict(start["headers"])
        assert greeting["body"].startswith(b":")
        await client.leave()


async def test_a_stream_with_a_known_length_is_not_compressed():
    async def chunks():
        yield b"[" + b"0," * 2000 + b"0]"

    scope = {"type": "http", "headers": [(b"accept-encoding", b"gzip")]}
    for length, encoding in ((None, "gzip"), ("4003", None)):
        response = Response(media_type="application/json")
        del response.headers["Content-Length"]
        if length:
            response.headers["Content-Length"] = length
        async for _ in compression.compress_stream(response, scope, chunks()):
            pass
        assert (response.headers.get("Content-Length"), response.headers.get("Content-Encoding")) == (length, encoding)
