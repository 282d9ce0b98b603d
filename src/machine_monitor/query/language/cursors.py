"""Cursors: opaque positions in a sorted list, with a checksum that detects damaged or edited cursors."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from machine_monitor.database.engines import canonical_json
from machine_monitor.errors import BadCursor

# A fixed key, not a secret: the checksum detects damage, it does not authenticate. Change it with the layout.
_CHECKSUM_KEY = b"machine-monitor cursor 1"
_CHECKSUM_BYTES = 8
# Half of the maximum URL length; the filters need the rest.
MAX_LENGTH = 4 * 1024
TRUNCATED_LENGTH = 200


@dataclass(frozen=True)
class Cursor:
    """A keyset position: a page starts after this record (or at it, if `inclusive`).

    `values` are the record's sort key values. `fingerprint` identifies the query. `now` is the time of the first page
    if a filter is relative: later pages resolve the filter at the same time.
    """

    fingerprint: str
    values: tuple[Any, ...]
    backward: bool = False
    inclusive: bool = False
    now: str | None = None


def query_fingerprint(*parts: Any) -> str:
    """Hash the filters, search and sort of a query: a cursor is only valid for the query it came from."""
    return hashlib.blake2b(canonical_json(parts).encode(), digest_size=8).hexdigest()


def encode(cursor: Cursor) -> str:
    """Encode as opaque URL-safe text. If it would be too long for a URL, long texts are truncated (see keysets.py)."""
    text = _encode(cursor)
    if len(text) > MAX_LENGTH:
        text = _encode(replace(cursor, values=tuple(map(_truncate, cursor.values))))
    return text


def decode(text: str) -> Cursor:
    """Decode a text that `encode` wrote; raises `BadCursor` for any other."""
    try:
        decoded = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise BadCursor from None
    checksum, payload = decoded[:_CHECKSUM_BYTES], decoded[_CHECKSUM_BYTES:]
    if checksum != _checksum(payload):
        raise BadCursor
    fingerprint, flags, now, *values = json.loads(payload)
    cursor = Cursor(fingerprint, tuple(values), bool(flags & 1), bool(flags & 2), now)
    # Base64 is not unique: different texts decode to the same bytes, and the decoder ignores invalid characters.
    if _encode(cursor) != text:
        raise BadCursor
    return cursor


def _encode(cursor: Cursor) -> str:
    flags = cursor.backward + 2 * cursor.inclusive
    payload = canonical_json([cursor.fingerprint, flags, cursor.now, *cursor.values]).encode()
    return base64.urlsafe_b64encode(_checksum(payload) + payload).rstrip(b"=").decode()


def _truncate(value: Any) -> Any:
    """Truncate a long text. A one-element list marks it as truncated; no sort key value is a list."""
    return [value[:TRUNCATED_LENGTH]] if isinstance(value, str) and len(value) > TRUNCATED_LENGTH else value


def _checksum(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_CHECKSUM_BYTES, key=_CHECKSUM_KEY).digest()
