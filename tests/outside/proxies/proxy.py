"""Runs nginx, Caddy and Apache with the configurations in docs/deploy, in front of services of the tests."""

import contextlib
import os
import re
import ssl
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx2

from machine_monitor.api.serving.https import files
from machine_monitor.api.serving.https.host_names import HostNames
from servers import connect, free_port

DEPLOY = Path(__file__).parents[3] / "docs/deploy"
NAME = "machines.example.com"
# The loopback address from which clients connect, so that it is not that of the proxy.
BROWSER_ADDRESS = "127.0.0.2"
START_SECONDS = 30
MODULES = Path("/usr/lib/apache2/modules")
APACHE_MODULES = ("mpm_event", "authz_core", "alias", "socache_shmcb", "ssl", "headers", "proxy", "proxy_http")
# Chromium's headers of a fetch from a page of the console, without those that name the page.
CHROMIUM = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-US,en;q=0.9",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0",
}


class Endpoint(NamedTuple):
    """An address of a proxy; `prefix` is the path below which it publishes the service.

    `http_port` is the port at which it redirects to HTTPS; None for Caddy, whose own test does that.
    """

    port: int
    prefix: str = ""
    trusted: ssl.SSLContext | None = None
    http_port: int | None = None

    @property
    def origin(self) -> str:
        return f"{'https' if self.trusted else 'http'}://{NAME}:{self.port}"

    def client(self, **headers: str) -> httpx2.Client:
        """Return a client of the public name, which no DNS knows."""
        client = httpx2.Client(
            base_url=f"{self.origin.replace(NAME, '127.0.0.1')}{self.prefix}",
            transport=httpx2.HTTPTransport(verify=self.trusted or True, local_address=BROWSER_ADDRESS),
            headers={"Host": f"{NAME}:{self.port}", **headers},
            timeout=20,
        )
        client.event_hooks = {
            "request": [lambda request: request.extensions.update(sni_hostname=NAME)],
            "response": [_check_that_the_service_responded],
        }
        return client

    def browser(self) -> httpx2.Client:
        """Return a client that sends what Chromium sends from a page of the console."""
        page = {"Origin": self.origin, "Referer": f"{self.origin}{self.prefix}/ui/"}
        return self.client(**CHROMIUM, **page)


def _check_that_the_service_responded(response: httpx2.Response) -> None:
    """Fail at the response of a proxy that got none, and show it."""
    if "X-Request-ID" not in response.headers:
        raise AssertionError(f"{response.request.method} {response.request.url}: {response.read().decode()}")


def shipped(name: str, replaced: Mapping[str, str], prefix: str) -> str:
    """Return a configuration of docs/deploy with other ports and certificates, below a path if there is a prefix."""
    text = (DEPLOY / name).read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    if prefix:
        # The comment says which directive to write instead.
        (directive,) = re.findall(r"# Below a path: `([^`]+)` here", text)
        (number,) = [number for number, line in enumerate(lines) if line.split()[:1] == directive.split()[:1]]
        lines[number] = directive + (" {" if lines[number].endswith("{") else "")
    text = "\n".join(lines) + "\n"
    for old, new in replaced.items():
        assert old in text, f"{name}: {old}"
        text = text.replace(old, new)
    return text


def certified(folder: Path) -> tuple[dict[str, str], ssl.SSLContext]:
    """Make a certificate of the public name; return the paths to replace, and a context that trusts its authority."""
    files.prepare(folder, HostNames((NAME,), (), None), datetime.now(UTC))
    server = str(folder / files.SERVER)
    paths = {"/etc/ssl/machines.pem": server, "/etc/ssl/machines.key": server}
    return paths, ssl.create_default_context(cafile=folder / files.PUBLIC)


@contextlib.contextmanager
def running(command: list[str], folder: Path, ports: Iterable[int], **variables: str) -> Iterator[None]:
    """Run a proxy in the foreground, from when it listens to the end of the context."""
    log = folder / "log"
    with (
        log.open("w") as opened,
        subprocess.Popen(command, stdout=opened, stderr=opened, env={**os.environ, **variables}) as process,
    ):
        try:
            end = time.monotonic() + START_SECONDS
            while not all(map(_listens, ports)):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), connect(port):
        return True
    return False


def _is_certified(endpoint: Endpoint) -> bool:
    with contextlib.suppress(httpx2.ConnectError), endpoint.client() as client:
        return client.get("/healthz").is_success
    return False


@contextlib.contextmanager
def nginx(folder: Path, services: Mapping[str, int], more: str = "") -> Iterator[dict[str, Endpoint]]:
    """Run nginx with docs/deploy/nginx.conf for each prefix and its service; `more` are other servers."""
    paths, trusted = certified(folder / "certificates")
    endpoints = {prefix: Endpoint(free_port(), prefix, trusted, free_port()) for prefix in services}
    servers = []
    for prefix, port in services.items():
        endpoint = endpoints[prefix]
        ports = {"443 ssl": f"127.0.0.1:{endpoint.port} ssl", " 80": f" 127.0.0.1:{endpoint.http_port}"}
        servers.append(shipped("nginx.conf", {**ports, ":8000": f":{port}", **paths}, prefix))
    temporary = [f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    configured = folder / "nginx.conf"
    configured.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; user root;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{' '.join(temporary)}\n{''.join(servers)}\n{more}\n}}\n"
    )
    with running(["nginx", "-c", str(configured)], folder, [endpoint.port for endpoint in endpoints.values()]):
        yield endpoints


@contextlib.contextmanager
def caddy(folder: Path, services: Mapping[str, int]) -> Iterator[dict[str, Endpoint]]:
    """Run Caddy with docs/deploy/Caddyfile for each prefix and its service; it signs its own certificates."""
    ports = {prefix: free_port() for prefix in services}
    # No redirect from port 80, which requires root; no administration API; no certificate in the system's store.
    options = "{\n\tadmin off\n\tskip_install_trust\n\tlocal_certs\n\tauto_https disable_redirects\n}\n"
    sites = [
        shipped("Caddyfile", {f"{NAME} {{": f"{NAME}:{ports[prefix]} {{", ":8000": f":{port}"}, prefix)
        for prefix, port in services.items()
    ]
    configured = folder / "Caddyfile"
    configured.write_text(options + "".join(sites))
    command = ["caddy", "run", "--config", str(configured), "--adapter", "caddyfile"]
    with running(command, folder, ports.values(), XDG_DATA_HOME=str(folder), HOME=str(folder)):
        trusted = ssl.create_default_context(cafile=folder / "caddy/pki/authorities/local/root.crt")
        endpoints = {prefix: Endpoint(port, prefix, trusted) for prefix, port in ports.items()}
        end = time.monotonic() + START_SECONDS
        while not all(map(_is_certified, endpoints.values())):
            assert time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.05)
        yield endpoints


@contextlib.contextmanager
def apache(folder: Path, services: Mapping[str, int]) -> Iterator[dict[str, Endpoint]]:
    """Run Apache with docs/deploy/apache.conf for each prefix and its service."""
    paths, trusted = certified(folder / "certificates")
    endpoints = {prefix: Endpoint(free_port(), prefix, trusted, free_port()) for prefix in services}
    hosts = []
    for prefix, port in services.items():
        endpoint = endpoints[prefix]
        ports = {"*:443": f"*:{endpoint.port}", "*:80": f"*:{endpoint.http_port}"}
        hosts += [f"Listen 127.0.0.1:{each}\n" for each in (endpoint.port, endpoint.http_port)]
        hosts.append(shipped("apache.conf", {**ports, ":8000": f":{port}", **paths}, prefix))
    modules = [f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in APACHE_MODULES]
    own = [f"PidFile {folder}/pid", f"ErrorLog {folder}/error.log", f"DefaultRuntimeDir {folder}", "ServerName x"]
    configured = folder / "apache.conf"
    configured.write_text("\n".join([*modules, *own, "User www-data", "Group www-data", *hosts]))
    with running(["apache2", "-X", "-f", str(configured)], folder, [endpoint.port for endpoint in endpoints.values()]):
        yield endpoints


PROXIES = {"nginx": nginx, "caddy": caddy, "apache2": apache}
