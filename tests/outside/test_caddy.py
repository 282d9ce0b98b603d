"""The service behind Caddy, with the Caddyfile of Docker Compose: TLS with Caddy's own certificate authority."""

import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from servers import Service, environment, free_port

pytestmark = [
    pytest.mark.outside,
    pytest.mark.skipif(shutil.which("caddy") is None, reason="needs Caddy: apt-get install caddy"),
]

CADDYFILE = Path(__file__).parents[2] / "Caddyfile"
START_SECONDS = 30
# Unprivileged ports, no admin API, and no certificate in the trust store of the system.
OPTIONS = "{{\n\thttp_port {http}\n\thttps_port {https}\n\tadmin off\n\tskip_install_trust\n}}\n"


class Proxy(NamedTuple):
    """A Caddy process in front of a service."""

    http: int
    https: int
    trusted: ssl.SSLContext

    def get(self, path: str) -> httpx2.Response:
        """Send a request over TLS, as a client that trusts Caddy's certificate authority."""
        with httpx2.Client(base_url=f"https://127.0.0.1:{self.https}", verify=self.trusted) as client:
            return client.get(path, headers={"Host": "localhost"}, extensions={"sni_hostname": "localhost"})


@pytest.fixture
def proxy(tmp_path, sqlite_database_url) -> Iterator[Proxy]:
    """Caddy with our Caddyfile, in front of a service that trusts it as proxy."""
    http, https = free_port(), free_port()
    with Service(tmp_path, database_url=sqlite_database_url) as service:
        options = OPTIONS.format(http=http, https=https)
        configured = tmp_path / "Caddyfile"
        configured.write_text(options + CADDYFILE.read_text().replace("app:8000", f"127.0.0.1:{service.port}"))
        variables = environment() | {"CONSOLE_NAME": "localhost", "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}
        command = ["caddy", "run", "--config", str(configured), "--adapter", "caddyfile"]
        log = tmp_path / "caddy.log"
        with log.open("w") as opened, subprocess.Popen(command, env=variables, stderr=opened) as running:
            try:
                yield Proxy(http, https, wait_until_ready(tmp_path, https, log))
            finally:
                running.terminate()


def wait_until_ready(folder: Path, port: int, log: Path) -> ssl.SSLContext:
    """Wait until Caddy responds; return a TLS context that trusts its certificate authority."""
    root = folder / "caddy/pki/authorities/local/root.crt"
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            trusted = ssl.create_default_context(cafile=root)
            Proxy(0, port, trusted).get("/healthz")
        except (OSError, httpx2.HTTPError):
            time.sleep(0.1)
        else:
            return trusted
    pytest.fail(log.read_text())


def test_requests_over_tls_work_and_have_hsts(proxy):
    answer = proxy.get("/readyz")
    assert answer.status_code == 200
    assert "max-age" in answer.headers["Strict-Transport-Security"]
    answer = proxy.get("/logs?limit=1")
    assert (answer.status_code, answer.json()["items"]) == (200, [])


def test_plain_http_is_redirected_to_tls(proxy):
    answer = httpx2.get(f"http://127.0.0.1:{proxy.http}/logs", headers={"Host": "localhost"})
    assert answer.status_code == 308
    assert answer.headers["Location"].startswith("https://localhost")
