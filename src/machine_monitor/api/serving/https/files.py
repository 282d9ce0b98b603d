"""The files of the certificates: a folder with the authority, the server certificate and their private keys."""

import os
import ssl
import stat
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from machine_monitor.api.serving.https.host_names import HostNames
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.errors import MonitorError

if TYPE_CHECKING:
    from machine_monitor.api.serving.https.certificates import KeyPair

if sys.platform != "win32":
    import fcntl

# A private key and its certificate are in one file, so that one rename replaces both.
AUTHORITY, SERVER = "authority.pem", "server.pem"
# The authority's certificate alone: the only file that is served.
PUBLIC = "authority.crt"
# The folder for a PostgreSQL database, in the working directory, as the SQLite file is by default.
DEFAULT_FOLDER = "machine-monitor-https"
# This version did not exist earlier. A machine without a battery starts in 1970 or at the date of its image.
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)


class CertificateError(MonitorError):
    """The certificates of `serve --https` cannot be used; the text says what to do."""


@dataclass(frozen=True)
class Authority:
    """The public part of the authority, as PEM. It needs no `cryptography`, which the workers need not load."""

    pem: bytes

    @property
    def fingerprint(self) -> str:
        """The SHA-256 fingerprint, as phones show it."""
        return sha256(ssl.PEM_cert_to_DER_cert(self.pem.decode())).digest().hex(":").upper()


@dataclass(frozen=True)
class CertificateState:
    """The certificates in force: the authority, when both end, and the names that the authority may not certify."""

    authority: Authority
    authority_ends: datetime
    server_ends: datetime
    left_out: tuple[str, ...]


def folder_of(settings: Settings) -> Path:
    """Return the folder: MM_HTTPS_FOLDER, else beside the SQLite file, else in the working directory."""
    if settings.https_folder:
        return Path(settings.https_folder)
    path = database_urls.parse(settings.database_url).path
    return Path(DEFAULT_FOLDER) if path is None else path.with_name(f"{path.name}-https")


def read_authority(folder: Path) -> Authority | None:
    """Read the authority's certificate; None if there is none yet."""
    try:
        return Authority((folder / PUBLIC).read_bytes())
    except FileNotFoundError:
        return None


def prepare(folder: Path, names: HostNames, now: datetime) -> CertificateState:
    """Create what is missing, and renew the server certificate if it ends soon or if the names have changed.

    Raises `CertificateError` if the files cannot be used, or if the clock is wrong.
    """
    from machine_monitor.api.serving.https import certificates  # noqa: PLC0415 -- loads `cryptography`

    if now < EARLIEST:
        raise CertificateError(f"The clock of this machine says {now:%Y-%m-%d %H:%M} UTC: set it, then start again.")
    with _locked(folder):
        authority = _load(folder / AUTHORITY)
        if authority is None:
            authority = certificates.create_authority(_host_name(names), names.all, now)
            _write(folder / AUTHORITY, authority.pem, 0o600)
        _check_authority(authority, folder / AUTHORITY, now)
        permitted, left_out = _split_names(authority, names, folder)
        server = _load(folder / SERVER)
        if server is None or not certificates.is_current(server, authority, permitted, now):
            server = certificates.issue(authority, permitted, now)
            _write(folder / SERVER, server.pem, 0o600)
        public = Authority(authority.pem[authority.pem.index(b"-----BEGIN CERTIFICATE") :])
        if read_authority(folder) != public:
            _write(folder / PUBLIC, public.pem, 0o644)
    ends = (pair.certificate.not_valid_after_utc for pair in (authority, server))
    return CertificateState(public, *ends, left_out)


def _check_authority(authority: "KeyPair", path: Path, now: datetime) -> None:
    certificate = authority.certificate
    if not authority.is_authority:
        raise CertificateError(f"{path} is not a certificate authority: {_move_away(path)}")
    if now < certificate.not_valid_before_utc:
        raise CertificateError(
            f"The clock of this machine says {now:%Y-%m-%d}, but {path} is valid from "
            f"{certificate.not_valid_before_utc:%Y-%m-%d}: set the clock, or, if it was wrong before, "
            "delete the folder and let each phone install the new authority."
        )
    if now > certificate.not_valid_after_utc:
        raise CertificateError(
            f"The certificate authority in {path} ended on {certificate.not_valid_after_utc:%Y-%m-%d}: "
            f"{_move_away(path)}"
        )


def _split_names(authority: "KeyPair", names: HostNames, folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names that the authority may certify, and those left out; a configured one must not be left out."""
    from machine_monitor.api.serving.https import certificates  # noqa: PLC0415 -- loads `cryptography`

    left_out = tuple(name for name in names.all if not certificates.is_permitted(authority, name))
    for name in names.configured:
        if name in left_out:
            raise CertificateError(
                f"The certificate authority was made before '{name}' was configured, and may not certify it: "
                f"{_move_away(folder / AUTHORITY)}"
            )
    return tuple(name for name in names.all if name not in left_out), left_out


def _host_name(names: HostNames) -> str:
    return names.discovered[0] if names.discovered else ""


def _move_away(path: Path) -> str:
    return f"move the folder {path.parent} away, start again, and let each phone install the new authority."


def _load(path: Path) -> "KeyPair | None":
    """Read a key and a certificate; None if the file does not exist."""
    from machine_monitor.api.serving.https.certificates import KeyPair  # noqa: PLC0415 -- loads `cryptography`

    try:
        data, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CertificateError(
            f"Cannot read {path} ({error.strerror}): run the service as the owner of the file, "
            "or name another folder in MM_HTTPS_FOLDER."
        ) from None
    if os.name == "posix" and mode & 0o077:
        raise CertificateError(f"Other users may read the private key in {path}: run `chmod 600 {path}`.")
    try:
        return KeyPair.from_pem(data)
    except (ValueError, TypeError):  # TypeError: the key has a password
        raise CertificateError(f"{path} does not hold a private key and its certificate: {_move_away(path)}") from None


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a file atomically: it is flushed under another name, then renamed."""
    opened, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # its mode is 0600
    try:
        with os.fdopen(opened, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    """Hold a lock on the folder, which is created if necessary: two services that start together share an authority."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform == "win32":  # it cannot open folders
            yield
            return
        opened = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX)
            yield
        finally:
            os.close(opened)
    except OSError as error:
        raise CertificateError(
            f"Cannot write the certificates to {folder} ({error.strerror}): run the service as a user who may, "
            "or name another folder in MM_HTTPS_FOLDER."
        ) from error
