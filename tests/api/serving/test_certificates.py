"""The certificates of `mm serve --https`: host names, expiry and files."""

import os
import ssl
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from machine_monitor.api.serving.https import certificates, files, host_names
from machine_monitor.api.serving.https.files import CertificateError
from machine_monitor.api.serving.https.host_names import HostNames
from machine_monitor.config import Settings
from machine_monitor.errors import BadSetting

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = HostNames(("machines.example.com", "*.plant.example.com"), ("shop", "shop.local", "192.168.1.20", "::1"), None)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "new" / "https"


def server_of(folder):
    return certificates.KeyPair.from_pem((folder / files.SERVER).read_bytes()).certificate


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


def with_names(*discovered, configured=()):
    return HostNames(configured, discovered, None)


def test_the_server_certificate_is_what_phones_accept(folder):
    prepared = files.prepare(folder, NAMES, NOW)
    server = server_of(folder)
    names = extension(server, x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [*NAMES.configured, "shop", "shop.local"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("192.168.1.20"), ip_address("::1")]
    assert list(extension(server, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not extension(server, x509.BasicConstraints).value.ca
    assert server.not_valid_before_utc < NOW
    assert server.not_valid_after_utc - server.not_valid_before_utc < 397 * DAY
    assert prepared.server_ends == server.not_valid_after_utc
    assert 3640 * DAY < prepared.authority_ends - NOW < 3650 * DAY


@pytest.mark.parametrize("name", ["machines.example.com", "a.plant.example.com", "shop.local", "192.168.1.20"])
def test_a_client_that_trusts_the_authority_accepts_the_certificate(folder, name):
    files.prepare(folder, NAMES, NOW)
    verify(folder, name, server_of(folder), NOW)


def verify(folder, name, certificate, now):
    """Verify by the rules of browsers, name constraints included."""
    authority = x509.load_pem_x509_certificate((folder / files.PUBLIC).read_bytes())
    builder = verification.PolicyBuilder().store(verification.Store([authority])).time(now)
    try:
        subject = x509.IPAddress(ip_address(name))
    except ValueError:
        subject = x509.DNSName(name)
    builder.build_server_verifier(subject).verify(certificate, [])


@pytest.mark.parametrize("name", ["bank.example", "example.com", "notshop", "8.8.8.8", "2001:db8::5", "*.example.com"])
def test_the_authority_cannot_certify_sites_of_others(folder, name):
    files.prepare(folder, NAMES, NOW)
    authority = certificates.KeyPair.from_pem((folder / files.AUTHORITY).read_bytes())
    assert not certificates.is_permitted(authority, name)
    forged = certificates.issue(authority, [name], NOW)
    with pytest.raises(verification.VerificationError):
        verify(folder, name.replace("*", "a"), forged.certificate, NOW)


@pytest.mark.parametrize("name", ["other.local", "a.shop", "10.1.2.3", "fd00::7", "100.64.1.1", "x.plant.example.com"])
def test_the_authority_may_certify_private_names(folder, name):
    files.prepare(folder, NAMES, NOW)
    authority = certificates.KeyPair.from_pem((folder / files.AUTHORITY).read_bytes())
    assert certificates.is_permitted(authority, name)
    verify(folder, name, certificates.issue(authority, [name], NOW).certificate, NOW)


def test_openssl_accepts_the_chain_strictly(folder):
    files.prepare(folder, NAMES, datetime.now(UTC))
    context = ssl.create_default_context(cafile=folder / files.PUBLIC)
    assert len(context.get_ca_certs()) == 1
    command = ["openssl", "verify", "-x509_strict", "-CAfile", folder / files.PUBLIC, folder / files.SERVER]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs the command openssl")
    assert completed.stdout.endswith("OK\n"), completed.stderr


def test_a_second_start_changes_nothing(folder):
    first = files.prepare(folder, NAMES, NOW)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert files.prepare(folder, NAMES, NOW + 300 * DAY) == first
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("names", "elapsed"),
    [
        (NAMES, timedelta(days=367)),
        (with_names("shop", "10.0.0.7"), timedelta()),
        (NAMES, timedelta(days=800)),
    ],
    ids=["29 days left", "another address", "expired"],
)
def test_the_server_certificate_is_renewed_by_the_same_authority(folder, names, elapsed):
    first = files.prepare(folder, NAMES, NOW)
    before = server_of(folder)
    second = files.prepare(folder, names, NOW + elapsed)
    assert server_of(folder).serial_number != before.serial_number
    assert second.authority == first.authority
    verify(folder, names.discovered[-1], server_of(folder), NOW + elapsed)


def test_the_last_server_certificate_ends_with_the_authority(folder):
    first = files.prepare(folder, NAMES, NOW)
    last_renewal = first.authority_ends - 100 * DAY
    assert files.prepare(folder, NAMES, last_renewal).server_ends <= first.authority_ends
    verify(folder, "shop", server_of(folder), last_renewal)
    with pytest.raises(CertificateError, match=r"ended on 2036-.*let each phone install the new authority"):
        files.prepare(folder, NAMES, first.authority_ends + DAY)


def test_private_keys_are_readable_by_their_owner_only(folder, monkeypatch):
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("the modes of files must not depend on the umask"))
    files.prepare(folder, NAMES, NOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {files.AUTHORITY: 0o600, files.SERVER: 0o600, files.PUBLIC: 0o644}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert b"PRIVATE" not in (folder / files.PUBLIC).read_bytes()


def test_the_fingerprint_is_that_of_the_certificate(folder):
    authority = files.prepare(folder, NAMES, NOW).authority
    der = x509.load_pem_x509_certificate(authority.pem).public_bytes(Encoding.DER)
    assert authority.fingerprint.replace(":", "").lower() == sha256(der).hexdigest()
    assert files.read_authority(folder) == authority


def test_a_failed_write_leaves_the_former_file(folder, monkeypatch):
    files.prepare(folder, NAMES, NOW)
    before = (folder / files.SERVER).read_bytes()

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CertificateError, match="No space left on device"):
        files.prepare(folder, NAMES, NOW + 390 * DAY)
    assert (folder / files.SERVER).read_bytes() == before
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (datetime(1970, 1, 1, 0, 5, tzinfo=UTC), "clock of this machine says 1970-01-01 00:05 UTC: set it"),
        (NOW - 20 * DAY, "clock of this machine says 2026-11-11, but .*authority.pem is valid from 2026-11-30"),
    ],
)
def test_a_wrong_clock_is_named(folder, now, message):
    files.prepare(folder, NAMES, NOW)
    with pytest.raises(CertificateError, match=message):
        files.prepare(folder, NAMES, now)


def test_unusable_files_are_named_with_what_to_do(folder):
    files.prepare(folder, NAMES, NOW)
    authority, server = folder / files.AUTHORITY, folder / files.SERVER
    for content in (b"", b"nonsense", authority.read_bytes()[:250] + server.read_bytes()[250:]):
        damaged = folder.with_name(f"damaged-{len(content)}")
        damaged.mkdir(parents=True)
        (damaged / files.AUTHORITY).write_bytes(content)
        (damaged / files.AUTHORITY).chmod(0o600)
        with pytest.raises(CertificateError, match="does not hold a private key and its certificate: move the folder"):
            files.prepare(damaged, NAMES, NOW)
    authority.write_bytes(server.read_bytes())
    with pytest.raises(CertificateError, match="is not a certificate authority"):
        files.prepare(folder, NAMES, NOW)


@pytest.mark.parametrize("name", [files.AUTHORITY, files.SERVER])
def test_a_key_that_others_may_read_is_refused(folder, name):
    files.prepare(folder, NAMES, NOW)
    (folder / name).chmod(0o640)
    with pytest.raises(CertificateError, match=rf"run `chmod 600 .*{name}`"):
        files.prepare(folder, NAMES, NOW)


def test_unreadable_files_are_named(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CertificateError, match=r"Cannot write the certificates to .*MM_HTTPS_FOLDER"):
        files.prepare(tmp_path / "file", NAMES, NOW)
    (folder / files.AUTHORITY).mkdir(parents=True)
    with pytest.raises(CertificateError, match=r"Cannot read .*authority.pem \(Is a directory\): run the service as"):
        files.prepare(folder, NAMES, NOW)


def test_a_name_beyond_the_authority_is_refused_if_configured_and_left_out_if_discovered(folder):
    files.prepare(folder, NAMES, NOW)
    prepared = files.prepare(folder, with_names("shop", "203.0.113.9"), NOW)
    assert prepared.left_out == ("203.0.113.9",)
    with pytest.raises(CertificateError, match=r"made before 'new.example.com' was configured.*move the folder"):
        files.prepare(folder, with_names("shop", configured=("new.example.com",)), NOW)


def test_a_public_address_of_the_machine_is_certified_from_the_start(folder):
    prepared = files.prepare(folder, with_names("203.0.113.9"), NOW)
    assert prepared.left_out == ()
    verify(folder, "203.0.113.9", server_of(folder), NOW)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"database_url": "sqlite:////data/plant.db"}, "/data/plant.db-https"),
        ({"database_url": "postgresql://host/machines"}, "machine-monitor-https"),
        ({"database_url": "postgresql://host/machines", "https_folder": "/etc/mm"}, "/etc/mm"),
    ],
)
def test_the_folder_is_beside_the_database(settings, expected):
    assert str(files.folder_of(Settings(**settings))) == expected


# Names


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "Shop.Example.com")
    addresses = ["192.168.1.20", "172.17.0.1", "127.0.0.1", "169.254.3.4", "192.168.1.20"]
    monkeypatch.setattr(host_names, "_source_addresses", lambda: iter([*addresses, "2a00:1450::9", "fd00::2"]))
    monkeypatch.setattr(host_names, "_interface_addresses", list)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("host", "allowed", "configured", "reachable"),
    [
        ("127.0.0.1", [], (), None),
        ("localhost", [], (), None),
        ("0.0.0.0", [], (), "192.168.1.20"),  # noqa: S104 -- not listened on
        ("::", [], (), "fd00::2"),
        ("0.0.0.0", ["*.plant.io", "*", "M.io."], ("*.plant.io", "m.io"), "m.io"),  # noqa: S104 -- the same
        ("192.168.1.20", ["m.io"], ("192.168.1.20", "m.io"), "192.168.1.20"),
        ("0.0.0.0", ["atelier-é.io"], ("xn--atelier--i1a.io",), "xn--atelier--i1a.io"),  # noqa: S104 -- the same
    ],
)
def test_the_names_are_those_by_which_clients_reach_the_machine(host, allowed, configured, reachable):
    names = host_names.of_this_machine(host, allowed)
    assert names.configured == configured
    own = ("shop.example.com", "shop", "shop.local")
    assert names.discovered == (*own, "localhost", "127.0.0.1", "::1", "192.168.1.20", "172.17.0.1", "fd00::2")
    assert names.reachable == reachable
    assert len(set(names.all)) == len(names.all)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("name", ["a b", "-a.io", "https://x", "x" * 300, ".", "a..b"])
def test_what_is_no_host_name_is_refused(name):
    with pytest.raises(BadSetting, match=r"MM_ALLOWED_HOSTS: '.*' is neither a host name nor an IP address"):
        host_names.of_this_machine("127.0.0.1", [name])


def test_a_machine_with_an_odd_name_has_its_addresses(monkeypatch, machine):  # noqa: ARG001 -- its addresses
    monkeypatch.setattr("socket.gethostname", lambda: "my machine!")
    assert host_names.of_this_machine("127.0.0.1", []).discovered[0] == "localhost"


@pytest.mark.enable_socket
def test_addresses_are_read_without_a_packet():
    for address in host_names.lan_addresses():
        assert not ip_address(address).is_loopback
