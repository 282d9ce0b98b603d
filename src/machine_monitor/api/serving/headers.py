"""Allowed host names of requests, and the security and cache headers of every response.

Checking `Host` prevents DNS rebinding: a web page could let its own domain resolve to this machine's address.
"""

import re
import socket
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from machine_monitor.errors import BadRequest

Header = tuple[bytes, bytes]

# The Content-Security-Policy of data; pages (console, Swagger UI) set their own.
DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# Unless the response sets them itself. `no-cache` allows caching, but requires revalidation by ETag.
DEFAULT_HEADERS: tuple[Header, ...] = (
    (b"content-security-policy", DATA_POLICY.encode()),
    (b"cache-control", b"private, no-cache"),
)
SECURITY_HEADERS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # Does not affect the CORS requests of frontends in MM_CORS_ORIGINS.
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), geolocation=(), microphone=(), payment=(), usb=()"),
)
# One year. Only over HTTPS, as reported by the proxy in front, and not with an authority of our own: a phone that loses
# that authority could not open the page that installs it again, because HSTS applies to every port of a name.
HSTS: Header = (b"strict-transport-security", b"max-age=31536000")
ANY = "*"
# Domains that cannot be registered: https://www.iana.org/assignments/special-use-domain-names, and ICANN's .internal
PRIVATE_DOMAINS = ("localhost", "local", "internal", "home.arpa", "test")
MAX_CACHED = 1_000
_HOST = re.compile(r"(\[(?P<address>[^]]+)\]|(?P<name>[^:\[\]@/]*))(:\d*)?")
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


class AllowedHosts:
    """Accepts IP addresses, names without a dot, private domains, this machine's name, and those in MM_ALLOWED_HOSTS.

    None of the first four is a domain that an attacker could register and point to this machine.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allows_any = ANY in allowed
        # Not the full name: that takes a DNS query, which can delay the start.
        self._names = {name.lower() for name in (*allowed, socket.gethostname())}
        self._suffixes = tuple(name[1:].lower() for name in allowed if name.startswith("*."))
        self._suffixes += tuple(f".{name}" for name in PRIVATE_DOMAINS)
        self._allowed_values: set[bytes] = set()

    def check(self, given: Sequence[bytes], *, needed: bool) -> None:
        """Raise `BadRequest` unless there is exactly one `Host` header and its name is allowed.

        If `needed` is False (HTTP/1.0), the header may be missing.
        """
        if len(given) == 1 and given[0] in self._allowed_values:
            return
        if len(given) > 1 or (needed and not given):
            raise BadRequest("The request must have exactly one Host header.")
        for value in given:
            name = _name(value)
            if not (self._allows_any or self._is_allowed(name)):
                # The name is not repeated: it may be anything.
                raise BadRequest(
                    "The host name of this URL is not allowed: add it to MM_ALLOWED_HOSTS, or use the IP address."
                )
            if len(self._allowed_values) < MAX_CACHED:
                self._allowed_values.add(value)

    def _is_allowed(self, name: str) -> bool:
        return "." not in name or name in self._names or name.endswith(self._suffixes) or _is_address(name)


def _name(value: bytes) -> str:
    """Return the host without port and trailing dot; "." if the value is not a valid host."""
    matched = _HOST.fullmatch(value.decode("latin-1").lower())
    return (matched["address"] or matched["name"]).removesuffix(".") if matched else "."


def is_host(text: str) -> bool:
    """Whether a text is a name or an address, perhaps with a port."""
    name = _name(text.encode())
    return _NAME.fullmatch(name) is not None or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def locate(given: Iterable[Header], root_path: str) -> Iterable[Header]:
    """Add the root path to `Location`, which the application writes without it."""
    if not root_path:
        return given
    prefix = root_path.encode()
    return [
        (name, prefix + value if name == b"location" and value.startswith(b"/") else value) for name, value in given
    ]


def complete(given: Iterable[Header], request_id: str, *, hsts: bool = False) -> list[Header]:
    """Add the headers of every response to those given."""
    headers = [*given, *SECURITY_HEADERS, (b"x-request-id", request_id.encode())]
    names = {name for name, _ in given}
    headers += [header for header in DEFAULT_HEADERS if header[0] not in names]
    if hsts:
        headers.append(HSTS)
    return headers
