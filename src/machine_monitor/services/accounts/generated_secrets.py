"""Generated secrets (session ids, invitation codes, API tokens): 256 random bits, stored only as SHA-256."""

import hashlib
import re
import secrets

_TOKEN = re.compile(r"mm_([1-9][0-9]{0,14})_([A-Za-z0-9_-]{43})")


def generate() -> str:
    """Return a new secret: 43 characters of A-Z, a-z, 0-9, `-` and `_`."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """Hash a secret for storage. A fast hash is enough: a 256-bit secret cannot be brute-forced."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def csrf_token(secret: str) -> str:
    """Derive the session's CSRF token from its secret by a one-way hash."""
    return digest(f"csrf {secret}")


def session_id(session_digest: str) -> str:
    """Derive the public id of a session from the digest of its secret; it does not reveal the digest."""
    return digest(f"session {session_digest}")[:16]


def format_token(identity: int, secret: str) -> str:
    """Format an API token from its number and its secret."""
    return f"mm_{identity}_{secret}"


def parse_token(text: str) -> tuple[int, str] | None:
    """Parse an API token into its number and its secret; None if the text has another format."""
    match = _TOKEN.fullmatch(text)
    return (int(match[1]), match[2]) if match else None
