"""Certificates: a certificate authority, and the server certificates that it issues. No files, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from machine_monitor.api.serving.headers import PRIVATE_DOMAINS

AUTHORITY_LIFETIME = timedelta(days=3650)
# iOS refuses server certificates that are valid for more than 398 days: https://support.apple.com/en-us/102028
SERVER_LIFETIME = timedelta(days=397)
RENEWAL = timedelta(days=30)
# Valid from yesterday, for phones whose clock is slow.
BACKDATED = timedelta(days=1)
# Private and link-local networks, and those of VPNs (RFC 6598).
PRIVATE_NETWORKS = tuple(
    map(
        ip_network,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"),
            *("fc00::/7", "fe80::/10", "::1/128"),
        ),
    )
)
PRODUCT = "Machine Monitor"


@dataclass(frozen=True)
class KeyPair:
    """A certificate with its private key."""

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    certificate: x509.Certificate

    @classmethod
    def from_pem(cls, data: bytes) -> "KeyPair":
        """Read a key and a certificate; raises `ValueError` if one is missing, or if they do not belong together."""
        certificate = x509.load_pem_x509_certificate(data)
        key = load_pem_private_key(data, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError("the key is of an unknown kind")  # noqa: TRY004 -- one type of error for any content
        if _public_key_bytes(key) != _public_key_bytes(certificate):
            raise ValueError("the key is not that of the certificate")
        return cls(key, certificate)

    @property
    def pem(self) -> bytes:
        """The key and the certificate in one text, which is replaced as a whole."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + self.certificate.public_bytes(Encoding.PEM)

    @property
    def is_authority(self) -> bool:
        """Whether this is the certificate of an authority."""
        try:
            return self.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            return False


def create_authority(host_name: str, names: Iterable[str], now: datetime) -> KeyPair:
    """Create a certificate authority.

    Its name constraints limit what a thief of the key could do to the phones that trust it: it can issue certificates
    only for private networks, private domains and `names`, and for no site of the internet.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(f"{PRODUCT} {host_name}"[:64])
    usage = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = _builder(subject, subject, key, (now, AUTHORITY_LIFETIME))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.NameConstraints(_permitted_subtrees(names), None), critical=True)
    return KeyPair(key, builder.sign(key, hashes.SHA256()))


def issue(authority: KeyPair, names: Sequence[str], now: datetime) -> KeyPair:
    """Issue a server certificate for these names; it does not outlive the authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    lifetime = min(SERVER_LIFETIME, issuer.not_valid_after_utc - (now - BACKDATED))
    builder = _builder(_subject(PRODUCT), issuer.subject, key, (now, lifetime))
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    for extension in (
        x509.SubjectAlternativeName([_general_name(name) for name in names]),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.BasicConstraints(ca=False, path_length=None),
        identifier,
    ):
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return KeyPair(key, builder.sign(authority.key, hashes.SHA256()))


def is_permitted(authority: KeyPair, name: str) -> bool:
    """Whether the authority's name constraints allow a certificate for this name."""
    try:
        constraints = authority.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return True
    general_name = _general_name(name)
    permitted = constraints.permitted_subtrees or ()
    if isinstance(general_name, x509.IPAddress):
        networks = [ip_network(str(each.value)) for each in permitted if isinstance(each, x509.IPAddress)]
        return any(ip_address(name) in network for network in networks)
    domains = [f".{each.value}" for each in permitted if isinstance(each, x509.DNSName)]
    return f".{_without_wildcard(name)}".endswith(tuple(domains))


def is_current(server: KeyPair, authority: KeyPair, names: Iterable[str], now: datetime) -> bool:
    """Whether a server certificate is of this authority, for exactly these names, and valid for 30 days or more."""
    certificate = server.certificate
    try:
        certificate.verify_directly_issued_by(authority.certificate)
        alternative_names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    is_valid = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc - RENEWAL
    return is_valid and set(alternative_names) == set(map(_general_name, names))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, period: tuple[datetime, timedelta]
) -> x509.CertificateBuilder:
    now, lifetime = period
    start = (now - BACKDATED).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        # The last second counts too (RFC 5280, 4.1.2.5).
        .not_valid_after(start + lifetime - timedelta(seconds=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _permitted_subtrees(names: Iterable[str]) -> list[x509.GeneralName]:
    found: dict[x509.GeneralName, None] = {x509.DNSName(domain): None for domain in PRIVATE_DOMAINS}
    found |= {x509.IPAddress(network): None for network in PRIVATE_NETWORKS}
    for name in names:
        general = _general_name(_without_wildcard(name))
        if not isinstance(general, x509.IPAddress):
            found[general] = None
        elif not any(ip_address(name) in network for network in PRIVATE_NETWORKS):
            found[x509.IPAddress(ip_network(name))] = None
    return [*found]


def _general_name(name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _without_wildcard(name: str) -> str:
    return name.removeprefix("*.")


def _subject(common_name: str) -> x509.Name:
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, PRODUCT)
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _public_key_bytes(owner: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | x509.Certificate) -> bytes:
    return owner.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
