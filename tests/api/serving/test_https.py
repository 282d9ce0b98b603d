"""`mm serve --https` over sockets: a client that trusts the authority, the page for phones, renewal, slow clients."""

import asyncio
import contextlib
import re
import socket
import ssl
import threading
import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import httpx2
import pytest

from api.access.site import PASSWORD, hashed_password
from conftest import client_of, serving
from machine_monitor.api.app import create_app
from machine_monitor.api.serving import server
from machine_monitor.api.serving.https import files, listener, page, tls
from machine_monitor.api.serving.https.host_names import HostNames
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.errors import UsageError
from machine_monitor.services.accounts import invitations
from machine_monitor.services.audit.history import ChangeContext
from servers import HttpsService, connect, environment, free_pair, read_to_end, run_in_thread, send_raw

NAMES = HostNames((), ("localhost", "127.0.0.1"), None)


@pytest.fixture
def prepared(tmp_path):
    """A folder with certificates for this machine, and the authority."""
    folder = tmp_path / "certificates"
    return folder, files.prepare(folder, NAMES, datetime.now(UTC)).authority


# The whole command


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_client_that_trusts_the_authority_is_served(tmp_path, sqlite_database_url, workers):
    database = Database(sqlite_database_url)
    database.transact(
        lambda tx: invitations.put_account(tx, "ADM", {"role": "admin"}, hashed_password(), ChangeContext("test"))
    )
    database.close_writer()
    settings = {"database_url": sqlite_database_url, "open": False}
    with HttpsService(tmp_path, "--workers", str(workers), **settings) as service:
        for name in ("localhost", "127.0.0.1", socket.gethostname()):
            service.connect(name).close()
        with pytest.raises(ssl.SSLCertVerificationError), service.connect("bank.example"):
            pass
        with httpx2.Client(verify=service.context, base_url=f"https://localhost:{service.port}") as client:
            response = client.get("/readyz")
            assert (response.status_code, response.http_version) == (200, "HTTP/1.1")
            # An authority of our own can get lost, and then HSTS would lock people out.
            assert "Strict-Transport-Security" not in response.headers
            signed_in = client.post("/session", json={"trigram": "ADM", "password": PASSWORD})
            cookie = signed_in.headers["Set-Cookie"]
            assert cookie.startswith("__Host-mm_session=")
            assert {"Secure", "HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
            assert client.get("/me").json()["user"]["trigram"] == "ADM"
            assert client.get("/https/authority.crt").content == (service.folder / files.PUBLIC).read_bytes()
            for name in (files.AUTHORITY, files.SERVER):
                assert client.get(f"/https/{name}").status_code == 404
        beside = httpx2.get(f"http://127.0.0.1:{service.port + 1}/https")
        fingerprint = files.read_authority(service.folder).fingerprint
        assert fingerprint in beside.text
        output = service.log.read_text()
    assert f"Its SHA-256 fingerprint, to compare: {fingerprint}\n" in output
    assert f"http://localhost:{service.port + 1}/https" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_the_port_beside_must_be_free(mm_in_process):
    port = free_pair()
    with socket.create_server(("127.0.0.1", port + 1)):
        code, output = mm_in_process("serve", "--https", "--port", port)
    assert code == 2
    assert f"cannot listen on 127.0.0.1:{port + 1}, where phones get the certificate" in output


@pytest.fixture
def mm_in_process(tmp_path):
    """A function that runs a command in a forked process, and returns its exit code and what it said."""
    from forked_processes import ForkedCommand  # noqa: PLC0415 -- starts a process

    def run(*words):
        log = tmp_path / "log"
        log.touch()
        code = ForkedCommand([*map(str, words)], tmp_path, environment(), log).wait(60)
        return code, log.read_text()

    return run


# TLS


@contextlib.contextmanager
def tls_server(folder, **settings):
    """Serve the API with TLS in a thread; yield its port."""
    chosen = Settings(https=True, https_folder=str(folder), open=True, **settings)
    port = free_pair()
    with run_in_thread(create_app(chosen), port, server.options(chosen)):
        yield port


@pytest.fixture
def handshake(prepared):
    """A function that opens a connection, and returns it with the serial number of the certificate."""
    with contextlib.ExitStack() as stack:

        def connected(port):
            context = ssl.create_default_context(cadata=prepared[1].pem.decode())
            client = stack.enter_context(context.wrap_socket(connect(port), server_hostname="localhost"))
            return client, client.getpeercert()["serialNumber"]

        yield connected


def ask(client):
    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return client.recv(65536)[9:12]


@pytest.mark.slow
def test_a_renewed_certificate_is_used_without_a_restart(prepared, handshake, sqlite_database_url):
    folder, _ = prepared
    with tls_server(folder, database_url=sqlite_database_url) as port:
        first, before = handshake(port)
        assert handshake(port)[1] == before
        files.prepare(folder, HostNames((), ("localhost", "127.0.0.1", "10.0.0.7"), None), datetime.now(UTC))
        second, after = handshake(port)
        assert before != after
        assert [ask(first), ask(second)] == [b"200", b"200"]
        # A file that cannot be read leaves the certificate in use.
        (folder / files.SERVER).write_text("nonsense")
        assert handshake(port)[1] == after
        (folder / files.SERVER).unlink()
        assert handshake(port)[1] == after


@pytest.mark.slow
def test_slow_clients_are_disconnected(prepared, handshake, sqlite_database_url, monkeypatch):
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 0.5)
    folder, authority = prepared
    with tls_server(folder, database_url=sqlite_database_url, head_timeout=0.5) as port:
        began = time.monotonic()
        with connect(port) as silent:
            assert read_to_end(silent) == b""
        client, _ = handshake(port)
        client.sendall(b"GET / HT")
        with client, contextlib.suppress(OSError):
            assert client.recv(100) == b""
        assert time.monotonic() - began < 8
        # Requests without TLS, and clients that do not trust the authority, do no harm.
        assert b"HTTP" not in send_raw(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(connect(port), server_hostname="localhost")
        old = ssl.create_default_context(cadata=authority.pem.decode())
        old.set_ciphers("AES128-SHA")  # without forward secrecy, which TLS 1.3 always has
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            old.wrap_socket(connect(port), server_hostname="localhost")
        assert ask(handshake(port)[0]) == b"200"


@pytest.mark.slow
def test_a_shutdown_does_not_wait_for_clients_that_do_not_answer(prepared, handshake, sqlite_database_url):
    folder, _ = prepared
    with tls_server(folder, database_url=sqlite_database_url) as port:
        client, _ = handshake(port)
        assert ask(client) == b"200"
        began = time.monotonic()
    assert time.monotonic() - began < 6
    client.close()


@pytest.mark.slow
def test_a_shutdown_does_not_wait_for_a_client_that_connects_meanwhile(prepared, handshake, sqlite_database_url):
    folder, authority = prepared
    context = ssl.create_default_context(cadata=authority.pem.decode())
    with tls_server(folder, database_url=sqlite_database_url) as port:
        handshake(port)
        late = connect(port)
        # The server has accepted the connection when it answers another one.
        assert ask(handshake(port)[0]) == b"200"
        began = time.monotonic()
        finishing = threading.Timer(0.3, lambda: end_of(context, late))
        finishing.start()
    assert time.monotonic() - began < 6
    finishing.join()


def end_of(context, client):
    """Begin TLS, and read until the server ends the connection."""
    with contextlib.suppress(OSError), context.wrap_socket(client, server_hostname="localhost") as secure:
        assert secure.recv(1) == b""


# The page


def setup(authority, port=8000, renew=lambda: None):
    return listener.ListenerSettings(authority, "127.0.0.1", port, renew)


@pytest.fixture
async def phone(prepared):
    """A client of the listener beside port 8443."""
    app = listener.RequestMiddleware(listener.create_app(setup(prepared[1], 8443)))
    async with client_of(app) as client:
        yield client


@pytest.mark.parametrize(
    ("languages", "first"), [("", "en"), ("en-GB,fr;q=0.5", "en"), ("fr-FR,fr;q=0.9,en;q=0.5", "fr"), ("de", "en")]
)
async def test_the_page_is_in_both_languages(phone, languages, first):
    response = await phone.get("/https", headers={"Accept-Language": languages})
    assert response.status_code == 200
    assert re.findall(r'lang="(\w\w)"', response.text) == [first, first, "fr" if first == "en" else "en"]
    assert all(words in response.text for words in ("Certificate Trust Settings", "Réglages des certificats"))
    assert response.text.count('href="/https/authority.crt"') == 2
    assert response.text.count('href="https://machine-monitor:8443/ui/"') == 2
    assert response.headers["Vary"] == "Accept-Language"


async def test_the_page_runs_no_script_and_loads_nothing(phone, prepared):
    response = await phone.get("/https")
    policy = response.headers["Content-Security-Policy"]
    (style,) = re.findall("<style>(.*?)</style>", response.text)
    assert f"style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"<script|\son\w+=|\sstyle=|\bsrc=|<link|<form", response.text)
    assert response.text.count(prepared[1].fingerprint) == 2
    assert len(response.content) < 6_000
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_phones_offer_to_install_the_certificate(phone, prepared):
    response = await phone.get("/https/authority.crt")
    assert (response.content, response.headers["Content-Type"]) == (prepared[1].pem, "application/x-x509-ca-cert")
    assert "Content-Disposition" not in response.headers


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("shop.local:8444", "/", "https://shop.local:8443/"),
        ("192.168.1.20:8444", "/ui/logs?q=a%20b&type=error", "https://192.168.1.20:8443/ui/logs?q=a%20b&type=error"),
        ("[fd00::2]:8444", "/logs", "https://[fd00::2]:8443/logs"),
        ("[::1]", "/x%2Fy", "https://[::1]:8443/x%2Fy"),
        ("shop", "//elsewhere.example/", "https://shop:8443//elsewhere.example/"),
    ],
)
async def test_all_else_is_redirected_to_https(phone, host, path, expected):
    phone.base_url = "http://shop"
    response = await phone.send(phone.build_request("GET", f"http://shop{path}", headers={"Host": host}))
    assert (response.status_code, response.headers["Location"]) == (307, expected)


async def test_the_listener_serves_nothing_else(phone):
    assert (await phone.post("/session", json={"trigram": "ADM"})).status_code == 405
    for host in ("evil.example", "a:b", ""):
        assert (await phone.get("/", headers={"Host": host})).status_code == 400
    assert (await phone.head("/https")).content == b""


def test_the_standard_port_is_redirected_to_from_port_80(prepared):
    beside = setup(prepared[1], 443)
    assert (beside.port, beside.https_url("shop.local")) == (80, "https://shop.local")
    for port in (0, 65535):
        with pytest.raises(UsageError, match="choose a --port from 1 to 65534"):
            listener.port_beside(port)


async def test_the_service_shows_the_page_too(prepared, sqlite_database_url):
    folder, authority = prepared
    settings = Settings(database_url=sqlite_database_url, https=True, https_folder=str(folder))
    async with serving(settings, open_=False) as client:
        shown = await client.get("/https")
        assert authority.fingerprint in shown.text
        assert shown.headers["Content-Security-Policy"] == page.POLICY
        assert 'href="/ui/"' in shown.text
        assert (await client.get("/https/authority.crt")).content == authority.pem
    async with serving(settings.model_copy(update={"https": False})) as client:
        for path in ("/https", "/https/authority.crt"):
            missing = await client.get(path)
            assert (missing.status_code, missing.json()["code"]) == (404, "not-found")
            assert "mm serve --https" in missing.json()["detail"]


async def test_a_service_without_certificates_yet_has_no_page(tmp_path, sqlite_database_url):
    settings = Settings(database_url=sqlite_database_url, https=True, https_folder=str(tmp_path))
    async with serving(settings) as client:
        assert (await client.get("/https")).status_code == 404


async def test_the_certificate_is_renewed_while_the_service_runs(prepared, monkeypatch, caplog):
    folder, _ = prepared
    loop, renewed = asyncio.get_running_loop(), asyncio.Event()
    monkeypatch.setattr(listener, "RENEWAL_SECONDS", 0.01)
    before, now, errors = (folder / files.SERVER).read_bytes(), datetime.now(UTC), [files.CertificateError("no space")]

    def renew():
        if errors:
            raise errors.pop()
        files.prepare(folder, NAMES, now + timedelta(days=370))
        loop.call_soon_threadsafe(renewed.set)

    app = listener.create_app(setup(prepared[1], renew=renew))
    async with app.router.lifespan_context(app), asyncio.timeout(20):
        await renewed.wait()
    assert (folder / files.SERVER).read_bytes() != before
    assert "the certificate was not renewed: no space" in caplog.text
