"""Which names a request may call this service by: a page elsewhere could give a name of its own this address."""

import re
import socket
from collections.abc import Sequence
from ipaddress import ip_address

from machine_monitor.errors import BadRequest

ANY = "*"
# What nobody can register: https://www.iana.org/assignments/special-use-domain-names, and ICANN's .internal
PRIVATE = ("localhost", "local", "internal", "home.arpa", "test")
MAX_KNOWN = 1_000
_HOST = re.compile(r"(\[(?P<address>[^]]+)\]|(?P<name>[^:\[\]@/]*))(:\d*)?")


class Hosts:
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
