"""Protection against cross-site request forgery: a page of another site must not act with a user's cookie."""

from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.requests import Request

from machine_monitor.api.serving.proxies.forwarded import requested_hosts
from machine_monitor.errors import CrossSite

DEFAULT_PORTS = {"http": 80, "https": 443}
# The values of Sec-Fetch-Site for a page of this service, and for an address that the user typed.
OWN_SITE = ("same-origin", "none")


class Origin(NamedTuple):
    """The origin of a page."""

    scheme: str
    host: str
    port: int


def check_origin(request: Request) -> None:
    """Raise `CrossSite` if a browser says that a page of another site sent this request.

    Sec-Fetch-Site is certain: the browser compares the addresses, and no page can set it. Browsers do not send it to an
    HTTP address on a network, so the origin is compared with the host of the request. Programs send none of these.
    """
    url = request.headers.get("origin", request.headers.get("referer"))
    origin = None if url is None else parse_origin(url)
    if origin is not None and origin in map(parse_origin, request.app.state.settings.cors_origins):
        return
    site = request.headers.get("sec-fetch-site")
    is_own = url is None or _is_own(origin, request) if site is None else site in OWN_SITE
    if not is_own:
        raise CrossSite


def parse_origin(url: str) -> Origin | None:
    """Return the origin of a URL with its port, or None if it has no origin of the web."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return None
    return Origin(parts.scheme, parts.hostname, DEFAULT_PORTS[parts.scheme] if port is None else port)


def _is_own(origin: Origin | None, request: Request) -> bool:
    """Whether a page of this origin comes from the host that the client requested."""
    if origin is None:
        return False
    # A proxy may speak HTTPS and not say so. So http may be https, but not the other way round.
    scheme = "https" if request.url.scheme == "https" else origin.scheme
    own = [parse_origin(f"{scheme}://{host}") for host in requested_hosts(request)]
    return any(each is not None and each[1:] == origin[1:] for each in own)
