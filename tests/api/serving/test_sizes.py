"""Oversized and malformed requests are refused, however they are sent, without a 5xx or a hanging connection."""

import json

import pytest

from machine_monitor.config import Settings
from servers import connect, read_to_end, send_raw, threaded

CLOSE = b"Host: x\r\nConnection: close\r\n"
JSON = b"Content-Type: application/json\r\n"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def port(tmp_path_factory, sqlite_template):
    path = tmp_path_factory.mktemp("sizes") / "test.db"
    path.write_bytes(sqlite_template.read_bytes())
    with threaded(Settings(database_url=f"sqlite:///{path}")) as (_, opened):
        yield opened


def post(path, body, *, chunked=False, method=b"POST"):
    head = method + b" " + path + b" HTTP/1.1\r\n" + CLOSE + JSON
    if not chunked:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    parts = [body[at : at + 60_000] for at in range(0, len(body), 60_000)]
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(map(chunk, [*parts, b""]))


def chunk(part):
    return b"%x\r\n%s\r\n" % (len(part), part)


def status_and_code(response):
    """Return the status and the code of the problem."""
    head, _, body = response.partition(b"\r\n\r\n")
    assert b"x-request-id: " in head
    assert b"x-content-type-options: nosniff" in head
    return int(head[9:12]), json.loads(body).get("code")


def pad(body, size):
    return body + b" " * (size - len(body))


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(
    ("path", "most", "body"),
    [(b"/machines", MIB, b'{"name": "%s"}'), (b"/logs/bulk", 8 * MIB, b'{"mode": "partial", "items": [{}]}')],
)
def test_the_size_of_a_body_is_limited(port, path, most, body, chunked):
    body = body.replace(b"%s", b"chunked" if chunked else b"length")
    fits = send_raw(port, post(path, pad(body, most), chunked=chunked))
    assert status_and_code(fits)[0] in (200, 201)
    assert status_and_code(send_raw(port, post(path, pad(body, most + 1), chunked=chunked))) == (
        413,
        "payload-too-large",
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"name": "deep", "attributes": ' + b'{"a":' * 31 + b"1" + b"}" * 32, (422, "validation")),
        (b'{"name": "deep", "attributes": ' + b'{"a":' * 32 + b"1" + b"}" * 33, (400, "bad-json")),
        (b'{"name": "big", "attributes": {"a": 9007199254740991}}', (201, None)),
        (b'{"name": "bigger", "attributes": {"a": 9007199254740992}}', (422, "validation")),
        (b"", (400, "bad-json")),
    ],
    ids=["deep", "deeper", "53 bits", "54 bits", "nothing"],
)
def test_json_nesting_and_numbers_are_limited(port, body, expected):
    for chunked in (False, True):
        response = send_raw(
            port, post(b"/machines/" + body[10:14].strip(b'"') + b"%d" % chunked, body, chunked=chunked, method=b"PUT")
        )
        status, code = status_and_code(response)
        assert (status, code) in (expected, (422, "validation")) if expected[0] == 201 else (status, code) == expected


def test_the_length_of_a_url_is_limited(port):
    def get_with_url_length(length):
        address = b"/logs?q=" + b"a" * (length - 8)
        return status_and_code(send_raw(port, b"GET " + address + b" HTTP/1.1\r\n" + CLOSE + b"\r\n"))

    assert get_with_url_length(8 * 1024) == (200, None)
    assert get_with_url_length(8 * 1024 + 1) == (414, "uri-too-long")
    assert get_with_url_length(60_000) == (414, "uri-too-long")
    assert get_with_url_length(500_000) == (414, "uri-too-long")


@pytest.mark.parametrize(
    "fields",
    [
        b"".join(b"X-%d: 1\r\n" % number for number in range(99)),
        b"".join(b"a:\r\n" for _ in range(16_000)),
        b"X: " + b"a" * 70_000 + b"\r\n",
        b"X: " + b"a" * 5_000_000 + b"\r\n",
        b"a" * 5_000_000,
    ],
    ids=["101 fields", "16,000 fields", "long field", "endless field", "endless name"],
)
def test_the_size_of_headers_is_limited(port, fields):
    with connect(port) as client:
        try:
            client.sendall(b"GET /healthz HTTP/1.1\r\n" + CLOSE + fields + b"\r\n")
        except OSError:
            return  # the server closed the connection while the client was sending
        response = read_to_end(client)
    assert not response or status_and_code(response) == (400, "bad-request")


def test_headers_within_the_limits_are_accepted(port):
    fields = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 500) for number in range(98))
    assert status_and_code(send_raw(port, b"GET /healthz HTTP/1.1\r\n" + CLOSE + fields + b"\r\n")) == (200, None)


@pytest.mark.parametrize(
    "raw_request",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HELLO\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"POST /machines HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /machines HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /machines HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"POST /machines HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /machines HTTP/1.1\r\nHost: x\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
)
def test_invalid_http_is_refused_at_once(port, raw_request):
    assert status_and_code(send_raw(port, raw_request)) == (400, "bad-request")


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c"])
def test_an_upgrade_header_is_ignored(port, upgrade):
    response = send_raw(
        port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: " + upgrade + b"\r\n\r\n"
    )
    assert status_and_code(response) == (200, None)


def test_pipelined_requests_are_answered_in_order(port):
    requests = [b"GET /logs?limit=%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(1, 30)]
    requests += [post(b"/machines", b'{"name": "together"}').replace(b"Connection: close\r\n", b"")]
    requests += [b"GET /machines/together HTTP/1.1\r\n" + CLOSE + b"\r\n"]
    responses = send_raw(port, b"".join(requests))
    assert [int(part[:3]) for part in responses.split(b"HTTP/1.1 ")[1:]] == [200] * 29 + [201, 200]


def test_garbage_after_a_request_does_not_affect_its_response(port):
    response = send_raw(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + b"\x00" * 100)
    assert response.startswith(b"HTTP/1.1 200")
    assert response.count(b"HTTP/1.1") == 1


def test_bytes_beyond_content_length_are_another_request(port):
    response = send_raw(port, post(b"/machines", b'{"name": "lying"}').replace(b"Length: 17", b"Length: 2") + b"!")
    assert response.startswith(b"HTTP/1.1 400")


def test_a_truncated_body_writes_nothing(port):
    with connect(port) as client:
        client.sendall(post(b"/machines", b'{"name": "short"}').replace(b"Length: 17", b"Length: 18"))
        client.shutdown(1)
        read_to_end(client)
    assert status_and_code(send_raw(port, b"GET /machines/short HTTP/1.1\r\n" + CLOSE + b"\r\n"))[0] == 404


@pytest.mark.parametrize(("size", "status"), [(20, b"201"), (2 * MIB, b"413")])
def test_expect_100_continue_is_answered(port, size, status):
    body = pad(b'{"name": "expect"}', size)
    head, _, _ = post(b"/machines", body).partition(b"\r\n\r\n")
    with connect(port) as client:
        client.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        response = client.recv(65536)
        if status == b"201":
            assert response == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(body)
            response = read_to_end(client)
        assert response.startswith(b"HTTP/1.1 " + status)
