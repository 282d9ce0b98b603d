"""Headers: the name that a request may call this service by, and what every answer tells browsers and caches.

The check of `Host` prevents DNS rebinding: a page elsewhere could give a name of its own this machine's address.
"""

import re
import socket
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from machine_monitor.errors import BadRequest

Header = tuple[bytes, bytes]

# Data is nothing to run, to frame or to post from; what is a page says its own.
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# Given where the answer does not say otherwise. `no-cache` keeps answers and asks by ETag whether they still hold.
UNLESS_GIVEN: tuple[Header, ...] = (
    (b"content-security-policy", NOTHING.encode()),
    (b"cache-control", b"private, no-cache"),
)
ALWAYS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # A frontend of MM_CORS_ORIGINS asks by CORS, which this does not concern.
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), geolocation=(), microphone=(), payment=(), usb=()"),
)
# A year; only over TLS, where a proxy in front says so.
SECURE: Header = (b"strict-transport-security", b"max-age=31536000")
ANY = "*"
# What nobody can register: https://www.iana.org/assignments/special-use-domain-names, and ICANN's .internal
PRIVATE = ("localhost", "local", "internal", "home.arpa", "test")
MAX_KNOWN = 1_000
_HOST = re.compile(r"(\[(?P<address>[^]]+)\]|(?P<name>[^:\[\]@/]*))(:\d*)?")


class AllowedHosts:
    """The names that are accepted: addresses, names without a dot, private domains, this machine's, the site's own.

    What all these have in common is that nobody who owns a domain of the internet can let it lead here.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._any = ANY in allowed
        # Its full name would have to be asked of a name server, which may keep a start waiting.
        self._names = {name.lower() for name in (*allowed, socket.gethostname())}
        self._endings = tuple(name[1:].lower() for name in allowed if name.startswith("*."))
        self._endings += tuple(f".{name}" for name in PRIVATE)
        self._known: set[bytes] = set()

    def check(self, given: Sequence[bytes], *, needed: bool) -> None:
        """Raise `BadRequest` unless the values of `Host` are one accepted name; none is a fault if it is needed."""
        if len(given) == 1 and given[0] in self._known:
            return
        if len(given) > 1 or (needed and not given):
            raise BadRequest("A request has one Host header.")
        for value in given:
            name = _name(value)
            if not (self._any or self._is_accepted(name)):
                # Not echoed: it may be anything.
                raise BadRequest("This site does not go by that name: add it to MM_ALLOWED_HOSTS, or use its address.")
            if len(self._known) < MAX_KNOWN:
                self._known.add(value)

    def _is_accepted(self, name: str) -> bool:
        return "." not in name or name in self._names or name.endswith(self._endings) or _is_address(name)


def _name(value: bytes) -> str:
    """The host without its port, and without the dot that ends a full name; a dot alone for what is no host."""
    matched = _HOST.fullmatch(value.decode("latin-1").lower())
    return (matched["address"] or matched["name"]).removesuffix(".") if matched else "."


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def complete(given: Iterable[Header], request_id: str, *, secure: bool = False) -> list[Header]:
    """The headers of an answer with all that every answer has."""
    headers = [*given, *ALWAYS, (b"x-request-id", request_id.encode())]
    names = {name for name, _ in given}
    headers += [header for header in UNLESS_GIVEN if header[0] not in names]
    if secure:
        headers.append(SECURE)
    return headers
