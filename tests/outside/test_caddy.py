"""The service behind Caddy, with the Caddyfiles of Docker Compose and of the docs; Caddy signs its own certificate."""

import re
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

ROOT = Path(__file__).parents[2]
PUBLIC_NAME = "machines.example.com"
START_SECONDS = 30
# Use ports that do not require root, no administration API, and do not install certificates in the system's store.
OPTIONS = "{{\n\thttp_port {http}\n\thttps_port {https}\n\tadmin off\n\tskip_install_trust\n\tlocal_certs\n}}\n"


class Proxy(NamedTuple):
    """A Caddy process in front of a service."""

    http: int
    https: int
    trusted_context: ssl.SSLContext
    name: str

    def get(self, path: str) -> httpx2.Response:
        """Send a request over TLS, as a client that trusts Caddy's certificate authority."""
        with httpx2.Client(base_url=f"https://127.0.0.1:{self.https}", verify=self.trusted_context) as client:
            return client.get(path, headers={"Host": self.name}, extensions={"sni_hostname": self.name})


def caddyfile(name: str) -> str:
    """Return the Caddyfile of Docker Compose, or for the public name the one in docs/deploy."""
    return (ROOT / ("docs/deploy/Caddyfile" if name == PUBLIC_NAME else "Caddyfile")).read_text()


@pytest.fixture(params=["localhost", PUBLIC_NAME])
def proxy(request, tmp_path, sqlite_database_url) -> Iterator[Proxy]:
    """A running Caddy in front of a service that trusts it."""
    http, https, name = free_port(), free_port(), request.param
    with Service(tmp_path, database_url=sqlite_database_url, allowed_hosts=PUBLIC_NAME) as service:
        options = OPTIONS.format(http=http, https=https)
        configured = tmp_path / "Caddyfile"
        configured.write_text(options + re.sub(r"[\w.]+:8000", f"127.0.0.1:{service.port}", caddyfile(name)))
        variables = environment() | {"CONSOLE_NAME": name, "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}
        command = ["caddy", "run", "--config", str(configured), "--adapter", "caddyfile"]
        log = tmp_path / "caddy.log"
        with log.open("w") as opened, subprocess.Popen(command, env=variables, stderr=opened) as running:
            try:
                yield Proxy(http, https, wait_until_ready(tmp_path, https, log, name), name)
            finally:
                running.terminate()


def wait_until_ready(folder: Path, port: int, log: Path, name: str) -> ssl.SSLContext:
    """Wait until Caddy responds; return an SSL context that trusts its certificate authority."""
    root = folder / "caddy/pki/authorities/local/root.crt"
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            trusted_context = ssl.create_default_context(cafile=root)
            Proxy(0, port, trusted_context, name).get("/healthz")
        except (OSError, httpx2.HTTPError):
            time.sleep(0.1)
        else:
            return trusted_context
    pytest.fail(log.read_text())


def test_requests_over_tls_work_and_have_hsts(proxy):
    response = proxy.get("/readyz")
    assert response.status_code == 200
    assert "max-age" in response.headers["Strict-Transport-Security"]
    response = proxy.get("/logs?limit=1")
    assert (response.status_code, response.json()["items"]) == (200, [])


def test_plain_http_redirects_to_https(proxy):
    response = httpx2.get(f"http://127.0.0.1:{proxy.http}/logs", headers={"Host": proxy.name})
    assert response.status_code == 308
    assert response.headers["Location"].startswith(f"https://{proxy.name}")
