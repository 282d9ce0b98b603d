"""Services, and the proxies in front of them."""

import contextlib
import shutil

import pytest

from console.conftest import chromium, serve
from outside.proxies.proxy import NAME, PROXIES, Endpoint, nginx
from servers import free_port

__all__ = ["chromium"]

PREFIX = "/plant"
# nginx as many write it: none of these names the host that the browser asked for.
NGINX_VARIANTS = """
server {{ listen 127.0.0.1:{bare}; location / {{ proxy_pass http://127.0.0.1:{service}; }} }}
server {{
    listen 127.0.0.1:{without_port} ssl; ssl_certificate {pem}; ssl_certificate_key {pem};
    location / {{
        proxy_pass http://127.0.0.1:{service};
        proxy_set_header Host $host; proxy_set_header X-Forwarded-Proto $scheme;
    }}
}}
server {{
    listen 127.0.0.1:{compressing}; gzip on; gzip_types *; gzip_proxied any; gzip_min_length 1;
    location / {{
        proxy_pass http://127.0.0.1:{service};
        proxy_set_header Host $http_host; proxy_set_header Accept-Encoding "";
    }}
}}
server {{
    listen 127.0.0.1:{removing};
    location {prefix}/ {{ proxy_pass http://127.0.0.1:{below}/; proxy_set_header Host $http_host; }}
}}
server {{
    listen 127.0.0.1:{distrusted};
    location / {{
        proxy_pass http://127.0.0.1:{distrusting};
        proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Proto https;
        proxy_set_header X-Forwarded-For 192.0.2.7;
    }}
}}
"""


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}: apt-get install {program}")


@pytest.fixture(scope="module")
def services(tmp_path_factory, sqlite_template):  # noqa: ARG001 -- migrations are read once
    """Services at the root and below a path, and one that trusts no proxy."""
    folder = tmp_path_factory.mktemp("services")
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.delenv("FORWARDED_ALLOW_IPS", raising=False)
        sites = {}
        for name, root_path in (("root", ""), ("below", PREFIX), ("distrusting", "")):
            if name == "distrusting":
                patch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1")
            settings = {"root_path": root_path, "allowed_hosts": [NAME]}
            site = stack.enter_context(serve(folder / f"{name}.db", machines=3, logs=50, **settings))
            sites[name] = site
        yield sites


def port_of(site):
    return int(site.address.rpartition(":")[2])


@pytest.fixture(scope="module", params=[*PROXIES])
def proxy(request, services, tmp_path_factory):
    """The endpoints of a running proxy, by prefix."""
    need(request.param)
    ports = {"": port_of(services["root"]), PREFIX: port_of(services["below"])}
    with PROXIES[request.param](tmp_path_factory.mktemp(request.param), ports) as found:
        yield found


@pytest.fixture(scope="module")
def variants(services, tmp_path_factory):
    """The endpoints of nginx in other configurations, by name."""
    need("nginx")
    folder = tmp_path_factory.mktemp("variants")
    names = ("bare", "without_port", "compressing", "removing", "distrusted")
    ports = {name: free_port() for name in names}
    pem = folder / "certificates/server.pem"
    of_services = {"service": port_of(services["root"]), "below": port_of(services["below"])}
    of_services["distrusting"] = port_of(services["distrusting"])
    more = NGINX_VARIANTS.format(**ports, **of_services, pem=pem, prefix=PREFIX)
    with nginx(folder, {"": of_services["service"]}, more) as found:
        trusted = found[""].trusted
        yield {
            name: Endpoint(port, PREFIX if name == "removing" else "", trusted if name == "without_port" else None)
            for name, port in ports.items()
        }
