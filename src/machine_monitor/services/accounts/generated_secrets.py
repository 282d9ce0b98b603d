"""Secrets that the product makes: 256 random bits, of which only the SHA-256 is kept."""

import hashlib
import re
import secrets

_TOKEN = re.compile(r"mm_([1-9][0-9]{0,14})_([A-Za-z0-9_-]{43})")


def generate() -> str:
    """A secret, 43 letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of a secret. It need not be slow: nobody tries 2**256 of them."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def csrf_token(secret: str) -> str:
    """What a session's writes carry beside its cookie: made from it, and it cannot be made from that."""
    return digest(f"csrf {secret}")


def format_token(identity: int, secret: str) -> str:
    """A token as a program sends it."""
    return f"mm_{identity}_{secret}"


def parse_token(text: str) -> tuple[int, str] | None:
    """The number and the secret of a token; None if the text is no token."""
    found = _TOKEN.fullmatch(text)
    return (int(found[1]), found[2]) if found else None
