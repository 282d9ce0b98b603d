"""Cursors: a place in an order, sealed so that any alteration shows."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from machine_monitor.database.engines import canonical_json
from machine_monitor.errors import BadCursor

# Not a secret: the seal tells a damaged cursor from a whole one. A new layout takes a new name.
_CHECKSUM_KEY = b"machine-monitor cursor 1"
_CHECKSUM_BYTES = 8
# Half of what a URL may have; the filters need the rest.
MAX_LENGTH = 4 * 1024
TRUNCATED_LENGTH = 200


@dataclass(frozen=True)
class Cursor:
    """The record that a page begins after (or at, if `inclusive`), by its values in the list's order.

    `fingerprint` identifies the filters and the sort; `now` is the instant of the first page if a filter is relative.
    """

    fingerprint: str
    values: tuple[Any, ...]
    backward: bool = False
    inclusive: bool = False
    now: str | None = None


def query_fingerprint(*parts: Any) -> str:
    """A short fingerprint of what a cursor belongs to."""
    return hashlib.blake2b(canonical_json(parts).encode(), digest_size=8).hexdigest()


def encode(cursor: Cursor) -> str:
    """The cursor as opaque URL-safe text; of long texts, only the beginning if all of them would not fit a URL."""
    text = _encode(cursor)
    if len(text) > MAX_LENGTH:
        text = _encode(replace(cursor, values=tuple(map(_truncated, cursor.values))))
    return text


def decode(text: str) -> Cursor:
    """The cursor of a text that `encode` wrote; raises `BadCursor` for any other."""
    try:
        decoded = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise BadCursor from None
    checksum, payload = decoded[:_CHECKSUM_BYTES], decoded[_CHECKSUM_BYTES:]
    if checksum != _checksum(payload):
        raise BadCursor
    fingerprint, flags, now, *values = json.loads(payload)
    cursor = Cursor(fingerprint, tuple(values), bool(flags & 1), bool(flags & 2), now)
    # Base64 has several spellings that decode alike, and the decoder passes over foreign signs.
    if _encode(cursor) != text:
        raise BadCursor
    return cursor


def _encode(cursor: Cursor) -> str:
    flags = cursor.backward + 2 * cursor.inclusive
    payload = canonical_json([cursor.fingerprint, flags, cursor.now, *cursor.values]).encode()
    return base64.urlsafe_b64encode(_checksum(payload) + payload).rstrip(b"=").decode()


def _truncated(value: Any) -> Any:
    """A long text as a list of its beginning alone, which no other value is."""
    return [value[:TRUNCATED_LENGTH]] if isinstance(value, str) and len(value) > TRUNCATED_LENGTH else value


def _checksum(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_CHECKSUM_BYTES, key=_CHECKSUM_KEY).digest()
