"""The host names and addresses by which clients reach this machine, for the server certificate."""

import re
import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from machine_monitor.errors import BadSetting

if sys.platform == "linux":
    import fcntl

LOCAL = ("localhost", "127.0.0.1", "::1")
UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104 -- not listened on here
LOOPBACK = (*LOCAL, "")
# The kernel chooses the source address of a packet to these networks. UDP: `connect` sends nothing.
PROBED = ("192.0.2.1", "192.168.255.254", "10.255.255.254", "172.31.255.254", "2001:db8::1", "fd00::1")
SIOCGIFADDR = 0x8915
_HOST_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


@dataclass(frozen=True)
class HostNames:
    """Names and addresses as texts. `configured` ones are wanted by the user; `discovered` ones belong to the machine.

    `reachable` is the one that phones should use; None if the service listens on this machine only.
    """

    configured: tuple[str, ...]
    discovered: tuple[str, ...]
    reachable: str | None

    @property
    def all(self) -> tuple[str, ...]:
        """All of them, without duplicates."""
        return tuple(dict.fromkeys((*self.configured, *self.discovered)))


def of_this_machine(host: str, allowed_hosts: Sequence[str]) -> HostNames:
    """Return the names of this machine, for a service that listens on `host`; raises `BadSetting` for a bad name."""
    public = [_normalize_name(name, "MM_ALLOWED_HOSTS") for name in allowed_hosts if name != "*"]
    listening = [] if host in (*UNSPECIFIED, *LOOPBACK) else [_normalize_name(host, "MM_HOST")]
    own, lan = own_names(), [*dict.fromkeys(lan_addresses())]
    fixed = [name for name in public if not name.startswith("*.")]
    reachable = [*listening, *fixed, *(each for each in lan if (":" in each) == (":" in host)), *reversed(own)]
    return HostNames(
        configured=(*listening, *public),
        discovered=(*own, *LOCAL, *lan),
        reachable=None if host in LOOPBACK else next(iter(reachable), None),
    )


def own_names() -> list[str]:
    """Return the host name of this machine, its first label, and its name in mDNS (`.local`)."""
    name = socket.gethostname().lower().removesuffix(".")
    if not _is_host_name(name):
        return []
    label = name.partition(".")[0]
    return [*dict.fromkeys((name, label, f"{label}.local"))]


def lan_addresses() -> Iterator[str]:
    """Yield the addresses of this machine in its networks, that of the default route first; may repeat some."""
    for address in (*_source_addresses(), *_interface_addresses()):
        parsed = ip_address(address.partition("%")[0])
        # Global IPv6 addresses change daily (RFC 8981), so a certificate that names them is soon outdated.
        if not (parsed.is_loopback or parsed.is_link_local) and (parsed.version == 4 or parsed.is_private):
            yield str(parsed)


def _source_addresses() -> Iterator[str]:
    for target in PROBED:
        family = socket.AF_INET6 if ":" in target else socket.AF_INET
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:  # OSError: no route
            probe.connect((target, 9))
            yield probe.getsockname()[0]


def _interface_addresses() -> Iterable[str]:
    """Return the first IPv4 address of each interface: a machine may be in networks that no probe is routed to."""
    if sys.platform != "linux":
        return []
    addresses = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # the interface has no IPv4 address
                address = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                addresses.append(socket.inet_ntoa(address[20:24]))
    return addresses


def _normalize_name(name: str, setting: str) -> str:
    """Return a name or an address in its normal form: in lower case, and in ASCII (IDNA)."""
    with suppress(ValueError):
        return str(ip_address(name.strip("[]")))
    with suppress(UnicodeError):
        encoded = name.lower().removesuffix(".").encode("idna").decode()
        if _is_host_name(encoded):
            return encoded
    raise BadSetting(f"{setting}: '{name}' is neither a host name nor an IP address, so no certificate can name it.")


def _is_host_name(name: str) -> bool:
    return len(name) <= 253 and _HOST_NAME.fullmatch(name) is not None
