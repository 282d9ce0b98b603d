"""The headers of every answer: what a browser may do with it, and who may keep it."""

from collections.abc import Iterable

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


def complete(given: Iterable[Header], request_id: str, *, secure: bool = False) -> list[Header]:
    """The headers of an answer with all that every answer has."""
    headers = [*given, *ALWAYS, (b"x-request-id", request_id.encode())]
    names = {name for name, _ in given}
    headers += [header for header in UNLESS_GIVEN if header[0] not in names]
    if secure:
        headers.append(SECURE)
    return headers
